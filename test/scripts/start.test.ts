/** `npm run encrypt` and the like: they hand over to the built commands, or say how to build them. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { run, temporaryFolder } from '../support/command.ts';

const root = join(import.meta.dirname, '..', '..');
const scripts = Object.keys(packageJson.bin).map((command) => command.replace(/^kms-/, ''));

/** A clone as it is before `npm ci`. */
function clone(): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'scripts'));
  for (const file of ['package.json', 'scripts/start.sh'])
    copyFileSync(join(root, file), join(folder, file));
  return folder;
}

test('without the build, each says in one line what to run', async () => {
  const cwd = clone();
  for (const script of scripts) {
    const { status, stdout, stderr } = await run('npm', ['run', '-s', script], { cwd });
    assert.deepEqual([status, stdout.length], [2, 0], stderr);
    assert.match(stderr, /^The commands are not built yet\. Run npm ci,.*\n$/);
  }
});

test('arguments, standard input and status are those of the command', async () => {
  const cwd = clone();
  const command = join(cwd, 'dist', 'kms-encrypt.js');
  mkdirSync(join(cwd, 'dist'));
  writeFileSync(command, '#!/bin/sh\nprintf "%s\\n" "$@"; cat; exit 5');
  chmodSync(command, 0o755);
  const args = ['-u', 'two words', '', '*', '$(touch evil)'];
  const npm = ['run', '-s', 'encrypt', '--', ...args];
  const { status, stdout, stderr } = await run('npm', npm, { cwd, stdin: 'input' });
  assert.deepEqual([status, stdout.toString()], [5, `${args.join('\n')}\ninput`], stderr);
});
