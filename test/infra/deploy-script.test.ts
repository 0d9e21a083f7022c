/** What is left to the shell: deploy.sh finds Node, builds the commands once, and hands over. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run, temporaryFolder } from '../support/command.ts';
import { deployScript } from '../support/deploy.ts';

/** A project whose kms-deploy prints its arguments, each on a line, once it is built. */
function project(build: string): { script: string; command: string } {
  const folder = join(temporaryFolder(), 'a folder with spaces');
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  copyFileSync(deployScript, join(folder, 'deploy.sh'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ scripts: { build } }));
  writeFileSync(
    join(folder, 'build.cjs'),
    `const { mkdirSync, writeFileSync } = require('node:fs');
     console.log('built');
     mkdirSync('dist');
     writeFileSync('dist/kms-deploy.js', '#!/bin/sh\\nprintf "%s\\\\n" "$@"; exit 5', { mode: 0o755 });`,
  );
  return { script: join(folder, 'deploy.sh'), command: join(folder, 'dist', 'kms-deploy.js') };
}

test('it builds what is not built yet, then hands over arguments and status', async () => {
  const { script } = project('node build.cjs');
  const args = ['--users', '*', 'two words', '', '$(touch evil)', '--help'];
  const first = await run(script, args);
  assert.equal(first.status, 5, first.stderr);
  assert.equal(first.stdout.toString(), `${args.join('\n')}\n`);
  assert.match(first.stderr, /^deploy\.sh: building the commands, once \.\.\.\n/);
  assert.match(first.stderr, /^built$/m);

  const second = await run('sh', [script, 'x']);
  assert.deepEqual([second.stdout.toString(), second.stderr], ['x\n', '']);

  const folder = temporaryFolder();
  symlinkSync(script, join(folder, 'link'));
  const linked = await run('./link', ['x'], { cwd: folder });
  assert.deepEqual([linked.stdout.toString(), linked.stderr], ['x\n', '']);
});

test('a build that fails is said to have failed', async () => {
  const { script, command } = project('exit 1');
  const finished = await run(script, ['--yes']);
  assert.equal(finished.status, 2);
  assert.match(finished.stderr, /^deploy\.sh: The commands can't be built\.\nhint: /m);
  assert.equal(finished.stdout.length, 0);
  assert.ok(!existsSync(command));
});
