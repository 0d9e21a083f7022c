/**
 * `npm run bench [-- start-up | streams | batch …]`: speed as ratios to references that are
 * measured in the same run. Prints tables in Markdown, and with all of them writes
 * bench/RESULTS.md.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';

import { ensurePythonEnvironment } from '../test/support/python.ts';
import { benchStartUp } from './start-up.ts';
import { benchStreams, type StreamResult } from './streams.ts';
import { markdown, type Table } from './table.ts';

const streams = async (): Promise<Table> => {
  const results = await benchStreams();
  const speed = (name: string): number =>
    results.find((result) => result.name === name)?.mebibytesPerSecond ?? NaN;
  const row = ({ name, mebibytesPerSecond, maxRssMebibytes }: StreamResult): string[] => {
    const what = name.endsWith('encrypt') ? 'encrypt' : 'decrypt';
    return [
      name,
      mebibytesPerSecond.toFixed(0),
      (mebibytesPerSecond / speed(`plain-${what}`)).toFixed(2),
      (mebibytesPerSecond / speed(`library-${what}`)).toFixed(1),
      maxRssMebibytes.toFixed(0),
    ];
  };
  return {
    title:
      'Streams of 512 MiB, local key (plain: node:crypto AES-256-GCM; library: the Encryption SDK with its defaults)',
    head: ['', 'MiB/s', 'x plain', 'x library', 'RSS MiB'],
    rows: results.map(row),
  };
};

const benches: Record<string, () => Promise<Table>> = {
  'start-up': () => benchStartUp(),
  streams,
};

const names = argv.length > 2 ? argv.slice(2) : Object.keys(benches);
ensurePythonEnvironment((text) => {
  console.error(text);
});
const texts: string[] = [];
for (const name of names) {
  const bench = benches[name];
  if (bench === undefined) {
    throw new Error(`There is no ${name}: ${Object.keys(benches).join(', ')}.`);
  }
  const text = markdown(await bench());
  console.log(text);
  texts.push(text);
}
if (argv.length === 2) writeFileSync(join(import.meta.dirname, 'RESULTS.md'), texts.join('\n'));
