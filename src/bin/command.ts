/**
 * The start of every command, and all that is in a command's own file in dist/: loads the parts of
 * the bundle as they are needed, from the code cache if it has them, and runs the command that its
 * file is named after.
 *
 * This is not left to Node's own loader. Node's compile cache is written before a part has run, so it
 * has none of the functions that V8 compiles when they are first called, which are most of what a run
 * needs. And an `import` of `node:http` makes Node 22 and 24 load fetch, web streams and HTTP/2, which
 * `getBuiltinModule` doesn't.
 */
import { basename, join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

import type { CommandName } from '../cli/options.ts';
import type { run } from '../cli/run.ts';
import { codeCache } from './code-cache.ts';

/** Set by scripts/build.ts. It changes whenever a part does. */
declare const buildId: string;

interface Module {
  exports: unknown;
}
type Part = (
  exports: unknown,
  require: (name: string) => unknown,
  module: Module,
  importMetaUrl: string,
) => void;

const command = basename(__filename, '.js') as CommandName;
const evaluate = codeCache(join(__dirname, 'code-cache'), `${command}-${buildId}`);
const importMetaUrl = pathToFileURL(__filename).href;
const modules = new Map<string, Module>();

/** @param name of a part, such as `./kms.js`, or of a module of Node's */
function load(name: string): unknown {
  if (!name.startsWith('./')) return process.getBuiltinModule(name);
  let module = modules.get(name);
  if (module === undefined) {
    module = { exports: {} };
    modules.set(name, module);
    const file = join(__dirname, 'parts', name);
    const part = evaluate(file) as Part;
    part(module.exports, load, module, importMetaUrl);
  }
  return module.exports;
}

try {
  void (load('./start.js') as { run: typeof run }).run(command);
} catch (error) {
  if (process.env.DEBUG === 'kms-poc') throw error;
  // What reports errors is in that part.
  process.stderr.write(
    `${command}: a file of this program is missing or damaged.\nhint: Install it again: npm ci\n`,
  );
  process.exitCode = 1; // eslint-disable-line no-restricted-properties -- as is what ends a run
}
