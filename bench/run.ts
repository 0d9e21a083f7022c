/**
 * `npm run bench [-- start-up | streams | batch | scale | peers …]`: speed as ratios to references that are
 * measured in the same run. Prints tables in Markdown; a run of all of them also puts them into
 * docs/speed.md, between `<!-- bench -->` and `<!-- /bench -->`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { argv, env, exit, versions } from 'node:process';

import { ensurePythonEnvironment } from '../test/support/python.ts';
import { benchBatch } from './batch.ts';
import { benchPeers } from './peers.ts';
import { benchScale } from './scale.ts';
import { benchStartUp } from './start-up.ts';
import { benchStreams } from './streams.ts';
import { markdown, type Table } from './table.ts';

const benches: Record<string, () => Promise<Table>> = {
  'start-up': benchStartUp,
  streams: benchStreams,
  batch: benchBatch,
  scale: benchScale,
  peers: benchPeers,
};

const names = argv.length > 2 ? argv.slice(2) : Object.keys(benches);
const unknown = names.find((name) => !Object.hasOwn(benches, name));
if (unknown !== undefined) {
  console.error(
    `There is no ${unknown}. Usage: npm run bench [-- ${Object.keys(benches).join(' | ')} …]`,
  );
  exit(2);
}
env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
ensurePythonEnvironment((text) => {
  console.error(text);
});
const texts = [`Node ${versions.node}, ${availableParallelism()} CPUs.\n`];
console.log(texts[0]);
for (const [name, bench] of Object.entries(benches)) {
  if (!names.includes(name)) continue;
  const text = markdown(await bench());
  console.log(text);
  texts.push(text);
}
if (argv.length === 2) {
  const readme = join(import.meta.dirname, '..', 'docs', 'speed.md');
  const before = readFileSync(readme, 'utf8');
  const after = before.replace(
    /(<!-- bench -->\n)[^]*(<!-- \/bench -->)/,
    (_, start: string, end: string) => `${start}\n${texts.join('\n')}\n${end}`,
  );
  if (after === before) throw new Error('docs/speed.md has no marks for the tables.');
  writeFileSync(readme, after);
}
