/**
 * Bundles the commands into dist/: encrypting a message takes less time than Node needs to find the
 * files of the packages one by one.
 *
 * - Built from the packages' ES sources (`module` before `main`): two thirds less code than their
 *   CommonJS builds.
 * - Split into parts: whatever a run doesn't need (the Encryption SDK for a KMS blob, KMS for a local
 *   key, prompts in a pipe, credential providers that aren't used) is in a file that it doesn't load.
 *   Each `import()` in the source begins a new part.
 * - The parts are functions, as CommonJS modules are: src/bin/command.ts loads them, with a code cache.
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

/**
 * yargs measures help texts with string-width, which builds an `Intl.Segmenter` and a huge regular
 * expression when it is loaded. Our help texts are ASCII, whose width is its length.
 */
const lightStringWidth: Plugin = {
  name: 'light-string-width',
  setup(bundle) {
    bundle.onResolve({ filter: /^string-width$/ }, () => ({
      path: 'light',
      namespace: 'string-width',
    }));
    bundle.onLoad({ filter: /^light$/, namespace: 'string-width' }, () => ({
      contents: 'export default (text) => text.length;',
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
 * --expose-gc: see src/envelope/garbage.ts. KMS_POC_CLOSED, KMS_POC_OPEN: see
 * src/cli/payload/descriptors.ts.
 */
const shell = [
  'KMS_POC_CLOSED=',
  '{ true 9<&0; } 2>/dev/null || KMS_POC_CLOSED=0',
  '{ true 9>&1; } 2>/dev/null || KMS_POC_CLOSED=1$KMS_POC_CLOSED',
  'case "$*" in */fd/*) KMS_POC_OPEN=$(ls -l /proc/self/fd 2>/dev/null);; esac',
  'export KMS_POC_CLOSED KMS_POC_OPEN',
  'exec node --expose-gc -- "$0" "$@"',
].join('; ');
const launcher = `#!/bin/sh\n':' //; ${shell}\n`;

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
  plugins: [lightStringWidth],
});
const contents = createHash('sha256');
for (const { path, text } of parts.outputFiles) {
  const supported = { 'dynamic-import': false };
  const { code } = await transform(text, { ...target, ...small, format: 'cjs', supported });
  const part = `(function(exports,require,module,importMetaUrl){${code}})`;
  await writeFile(join(dist, 'parts', basename(path)), part);
  contents.update(part);
}
const start = await bundle({
  entryPoints: ['src/bin/command.ts'],
  format: 'cjs',
  define: { buildId: JSON.stringify(contents.digest('hex').slice(0, 16)) },
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

function bundle(options: BuildOptions) {
  const rules = { absWorkingDir: root, bundle: true, logLevel: 'warning' } as const;
  return build({ ...rules, ...target, ...small, ...options, write: false, metafile: true });
}
