/**
 * Bundles the commands into dist/: encrypting a message takes less time than Node needs to find the
 * files of the packages one by one.
 *
 * - Built from the packages' ES sources (`module` before `main`): two thirds less code than their
 *   CommonJS builds.
 * - Split into parts: whatever a run doesn't need (the Encryption SDK for a KMS blob, KMS for a local
 *   key, prompts in a pipe, credential providers that aren't used) is in a file that it doesn't load.
 *   Each `import()` in the source begins a new part.
 * - What most runs need is put together again: each file costs a run some tenths of a millisecond.
 * - All of it is functions, as CommonJS modules are: src/bin/command.ts loads them, with a code cache.
 */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { build, type BuildOptions, type Plugin, transform } from 'esbuild';

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
  // The SDK's checksum of event streams, which loads zlib. KMS has no event streams.
  './crc32/Crc32Node': 'export { Crc32Js as Crc32Node } from "./crc32/Crc32Js";',
};
const replaceSlowModules: Plugin = {
  name: 'replace-slow-modules',
  setup(bundle) {
    const namespace = 'replacement';
    bundle.onResolve({ filter: /./ }, ({ path, resolveDir }) =>
      Object.hasOwn(replacements, path) ? { path, namespace, pluginData: resolveDir } : undefined,
    );
    bundle.onLoad({ filter: /./, namespace }, ({ path, pluginData }) => ({
      contents: replacements[path] ?? '',
      resolveDir: String(pluginData),
    }));
  },
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

/** The files in dist/parts that hold more than one part: all that these sources import. */
const together: Readonly<Record<string, readonly string[]>> = {
  'start.js': ['cli/run.ts', 'cli/arguments.ts', 'cli/commands/load.ts'],
  'message.js': ['cli/commands/encrypt.ts', 'cli/commands/decrypt.ts'],
  'kms.js': ['kms/kms.ts'],
  'envelope.js': [
    ...['envelope/encrypt.ts', 'envelope/decrypt.ts'],
    ...['keys/local-key.ts', 'envelope/local-wrapping-key.ts'],
  ],
};

const { bin, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  bin: Record<string, string>;
  version: string;
};

const target = { platform: 'node', target: 'node20.19' } as const;
const small = {
  minifySyntax: true,
  minifyWhitespace: true, // names are kept: a stack trace (DEBUG=kms-poc) must tell where it is
  legalComments: 'none', // all licences are in one file, below
} as const;

rmSync(dist, { recursive: true, force: true });
await mkdir(join(dist, 'parts'), { recursive: true });
const parts = await bundle({
  entryPoints: { main: 'src/cli/run.ts' },
  outdir: dist,
  splitting: true,
  format: 'esm',
  mainFields: ['module', 'main'],
  define: { 'import.meta.url': 'importMetaUrl', packageVersion: JSON.stringify(version) },
  plugins: [replaceSlowModules],
});
const groups = Object.entries(together).map(([file, sources]) => ({
  file,
  needed: neededBy(sources),
}));
const files = new Map<string, string[]>();
const fileOf: Record<string, string> = {};
for (const path of Object.keys(parts.metafile.outputs)) {
  const name = basename(path);
  const { file } = groups.find(({ needed }) => needed.has(path)) ?? { file: name };
  fileOf[`./${name}`] = file;
  files.set(file, [...(files.get(file) ?? []), name]);
}
const contents = createHash('sha256');
const texts = new Map(parts.outputFiles.map(({ path, text }) => [basename(path), text]));
for (const [file, names] of files) {
  const functions = names.map(async (name) => {
    const supported = { 'dynamic-import': false };
    const text = texts.get(name) ?? '';
    const { code } = await transform(text, { ...target, ...small, format: 'cjs', supported });
    return `"./${name}":function(exports,require,module,importMetaUrl){${code}}`;
  });
  const text = `({${(await Promise.all(functions)).join(',\n')}})`;
  await writeFile(join(dist, 'parts', file), text);
  contents.update(text);
}
const start = await bundle({
  entryPoints: ['src/bin/command.ts'],
  format: 'cjs',
  define: {
    buildId: JSON.stringify(contents.digest('hex').slice(0, 16)),
    fileOf: JSON.stringify(fileOf),
  },
});
for (const command of Object.keys(bin)) {
  const text = launcher + (start.outputFiles[0]?.text ?? '');
  await writeFile(join(dist, `${command}.js`), text, { mode: 0o755 });
}
await writeFile(join(dist, 'package.json'), '{"type":"commonjs"}\n');
await writeFile(join(dist, 'THIRD-PARTY-LICENSES.txt'), licenses(root, parts.metafile));
await mkdir(join(dist, 'man'));
for (const command of Object.keys(commands) as CommandName[]) {
  await writeFile(join(dist, 'man', `${command}.1`), manPage(command, version));
}
await makeCodeCache(dist);

/** @returns the parts that hold these sources and all that they import, by paths in the metafile */
function neededBy(sources: readonly string[]): ReadonlySet<string> {
  const { outputs } = parts.metafile;
  const needed = new Set<string>();
  for (const source of sources) {
    const isIts = (path: string): boolean => outputs[path]?.entryPoint === `src/${source}`;
    const part = Object.keys(outputs).find(isIts);
    if (part === undefined) throw new Error(`${source} begins no part.`);
    needed.add(part);
  }
  for (const each of needed) {
    for (const { kind, path } of outputs[each]?.imports ?? []) {
      if (kind === 'import-statement') needed.add(path);
    }
  }
  return needed;
}

function bundle(options: BuildOptions) {
  const rules = { absWorkingDir: root, bundle: true, logLevel: 'warning' } as const;
  return build({ ...rules, ...target, ...small, ...options, write: false, metafile: true });
}
