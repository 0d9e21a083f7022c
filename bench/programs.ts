/** What is measured: the built commands, and the references they are compared with. */
import { join } from 'node:path';
import { rolldown } from 'rolldown';

import { maxRssMebibytes, tellMaxRss } from '../test/support/max-rss.ts';
import { type ProcessOptions, time } from './rounds.ts';

const dist = join(import.meta.dirname, '..', 'dist');

/** The way the shell starts a built command: Node's file and arguments. */
export const command = (name: 'kms-encrypt' | 'kms-decrypt', args: readonly string[]): string[] => [
  '--',
  join(dist, `${name}.js`),
  '-q',
  ...args,
];

/** @returns milliseconds */
export async function timeNode(args: readonly string[], options: ProcessOptions): Promise<number> {
  return (await time(process.execPath, args, options)).milliseconds;
}

/** @returns the mebibytes of memory that a run takes; measuring it takes time */
export async function memoryOfNode(
  args: readonly string[],
  options: ProcessOptions,
): Promise<number> {
  const env = { ...options.env, ...tellMaxRss };
  return maxRssMebibytes((await time(process.execPath, args, { ...options, env })).stderr);
}

/** The Encryption SDK on its own, bundled like the commands: see library.ts. */
export async function buildLibrary(folder: string): Promise<string> {
  const outfile = join(folder, 'library.mjs');
  await using sources = await rolldown({
    input: join(import.meta.dirname, 'library.ts'),
    platform: 'node',
    resolve: { mainFields: ['module', 'main'] },
    transform: { target: 'node20.19' },
  });
  await sources.write({ file: outfile, format: 'esm' });
  return outfile;
}

/** @returns the milliseconds that its work takes, not counting its start-up */
export async function timeLibrary(
  program: string,
  args: readonly string[],
  options: ProcessOptions,
): Promise<number> {
  return Number((await time(process.execPath, [program, ...args], options)).stderr);
}
