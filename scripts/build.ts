/**
 * Bundles the commands into dist/: encrypting a message takes less time than Node needs to find the
 * files of the packages one by one.
 *
 * - Built from the packages' ES sources (`module` before `main`): two thirds less code than their
 *   CommonJS builds.
 * - Split into parts: whatever a run doesn't need (the Encryption SDK for a KMS blob, KMS for a local
 *   key, prompts in a pipe, credential providers that aren't used) is in a file that it doesn't load.
 *   Each `import()` in the source begins a new part.
 * - But what most runs need together is one part: each costs a run some tenths of a millisecond.
 * - Each part is a function, as a CommonJS module is: src/bin/command.ts loads it, with a code cache.
 * - Not minified: with that cache, minifying makes no start faster. This way people can read what runs,
 *   and a stack trace (DEBUG=kms-poc) tells where it is.
 */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

import { type InputOptions, type OutputOptions, type Plugin, rolldown } from 'rolldown';

import { type CommandName, commands } from '../src/cli/options.ts';
import { makeCodeCache } from './code-cache.ts';
import { licenses } from './licenses.ts';
import { manPage } from './man-page.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** Modules of packages that take time in every run, and what does for us in their place. */
const replacements: Readonly<Record<string, string>> = {
  // yargs measures help texts with it, by an `Intl.Segmenter` and a huge regular expression. Ours are
  // ASCII, whose width is its length.
  'string-width': 'export default (text) => text.length;',
  // By it, yargs looks for a package.json with the version, in every folder up to the root.
  'escalade/sync': 'export default () => undefined;',
  // yargs checks its own arguments with it.
  assert: `
    const check = (isRight, message) => { if (!isRight) throw new Error(message); };
    export const strictEqual = (left, right, message) => check(left === right, message);
    export const notStrictEqual = (left, right, message) => check(left !== right, message);`,
  // yargs checks how it is called.
  './argsert.js': 'export const argsert = () => undefined;',
  // The SDK's checksum of event streams, which loads zlib. KMS has no event streams.
  './crc32/Crc32Node': 'export { Crc32Js as Crc32Node } from "./Crc32Js";',
};
/** Their names, by the paths that they are given. */
const replaced = new Map<string, string>();
const replaceSlowModules: Plugin = {
  name: 'replace-slow-modules',
  resolveId(name, importer = '') {
    if (!Object.hasOwn(replacements, name)) return undefined;
    const path = join(dirname(importer), `${name}.replaced.js`);
    replaced.set(path, name);
    return path;
  },
  load: (path) => replacements[replaced.get(path) ?? ''],
};

/**
 * The first two lines of a command: the shell starts Node with `--` before the file. The second
 * line is a command to the shell, and a string and a comment to JavaScript.
 *
 * Without `--`, Node takes our option --env-file, wherever it is, for its own: it obeys
 * NODE_OPTIONS in that file, which can run any code, and exits with its own status if there is no
 * such file (https://github.com/nodejs/node/issues/54232). `env -S node --` would also work, but
 * BusyBox (Alpine) doesn't support it.
 *
 * KMS_POC_CLOSED, KMS_POC_OPEN: see src/cli/payload/descriptors.ts.
 */
const shell = [
  'KMS_POC_CLOSED=',
  '{ true 9<&0; } 2>/dev/null || KMS_POC_CLOSED=0',
  '{ true 9>&1; } 2>/dev/null || KMS_POC_CLOSED=1$KMS_POC_CLOSED',
  'case "$*" in */fd/*) KMS_POC_OPEN=$(ls -l /proc/self/fd 2>/dev/null);; esac',
  'export KMS_POC_CLOSED KMS_POC_OPEN',
  'exec node -- "$0" "$@"',
].join('; ');
const launcher = `#!/bin/sh\n':' //; ${shell}\n`;

/**
 * Parts with a name of their own: these sources and all that they import, unless an earlier one has
 * it. All of a part is evaluated when any of it is imported.
 */
const together: Readonly<Record<string, readonly string[]>> = {
  start: ['cli/run.ts'],
  // Not in start, which first looks if there is a current folder: yargs asks for it as it is loaded.
  arguments: ['cli/arguments.ts', 'cli/commands/load.ts'],
  message: ['cli/commands/encrypt.ts', 'cli/commands/decrypt.ts'],
  kms: ['kms/kms.ts'],
  envelope: [
    ...['envelope/encrypt.ts', 'envelope/decrypt.ts'],
    ...['keys/local-key.ts', 'envelope/local-wrapping-key.ts'],
  ],
};

const { bin, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  bin: Record<string, string>;
  version: string;
};

rmSync(dist, { recursive: true, force: true });
await mkdir(join(dist, 'parts'), { recursive: true });
const parts = await bundle(
  {
    input: 'src/cli/run.ts',
    define: { 'import.meta.url': 'importMetaUrl', packageVersion: JSON.stringify(version) },
  },
  {
    chunkFileNames: '[name].js',
    codeSplitting: {
      groups: Object.entries(together).map(([name, sources]) => ({
        name,
        test: (path) => sources.includes(relative(join(root, 'src'), path)),
      })),
    },
  },
);
for (const [name, sources] of Object.entries(together)) {
  const part = parts.find(({ fileName }) => fileName === `${name}.js`);
  for (const source of sources) {
    if (part?.moduleIds.includes(join(root, 'src', source)) === true) continue;
    throw new Error(`${source} is not in the part ${name}.`);
  }
}
for (const name of Object.keys(replacements)) {
  if (![...replaced.values()].includes(name)) throw new Error(`${name} is not imported.`);
}
const contents = createHash('sha256');
for (const { fileName, code, isEntry } of parts) {
  if (isEntry) continue; // it only passes on what start.js exports
  if (/[^\0-\x7f]/.test(code)) throw new Error(`${fileName} is not ASCII.`);
  const text = `(function(exports,require,module,importMetaUrl){${code}})`;
  await writeFile(join(dist, 'parts', fileName), text);
  contents.update(text);
}
const [start] = await bundle({
  input: 'src/bin/command.ts',
  define: { buildId: JSON.stringify(contents.digest('hex').slice(0, 16)) },
});
for (const command of Object.keys(bin)) {
  await writeFile(join(dist, `${command}.js`), `${launcher}${start?.code ?? ''}`, { mode: 0o755 });
}
await writeFile(join(dist, 'package.json'), '{"type":"commonjs"}\n');
await writeFile(
  join(dist, 'THIRD-PARTY-LICENSES.txt'),
  licenses([
    ...parts.flatMap(({ moduleIds }) => moduleIds),
    join(root, 'node_modules/rolldown/package.json'), // its helpers are in it
  ]),
);
await mkdir(join(dist, 'man'));
for (const command of Object.keys(commands) as CommandName[]) {
  await writeFile(join(dist, 'man', `${command}.1`), manPage(command, version));
}
await makeCodeCache(dist);

/** @returns the files that a source and what it imports become, its own first */
async function bundle(
  { input, define }: { input: string; define: Record<string, string> },
  output: OutputOptions = {},
) {
  const options: InputOptions = {
    cwd: root,
    input,
    platform: 'node',
    resolve: { mainFields: ['module', 'main'] },
    transform: { target: 'node20.19', define },
    plugins: [replaceSlowModules],
    checks: { emptyImportMeta: false }, // yargs only has it for `extends` in a configuration
  };
  await using sources = await rolldown(options);
  const { output: files } = await sources.generate({
    format: 'cjs',
    strict: true, // as ES modules are
    dynamicImportInCjs: false, // an `import()` of Node's modules would not work in a vm.Script
    charset: 'ascii', // src/bin/command.ts reads it as Latin-1
    comments: false, // all licences are in one file
    ...output,
  });
  return files.filter((file) => file.type === 'chunk');
}
