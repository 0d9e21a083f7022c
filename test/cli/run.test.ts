/**
 * A bug is reported in one line, wherever it occurs: never as Node's own page of bundled source.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { type Finished, run, temporaryFolder } from '../support/command.ts';

const secret = 'sEntinel';
const home = temporaryFolder();
const args = ['-u', 'alice', '-k', 'local'];
let ciphertext: Buffer;
before(async () => {
  ({ stdout: ciphertext } = await run('kms-encrypt', args, { stdin: secret, home }));
});

/** @param code runs in the command, before the command itself does */
const decryptWith = (code: string, env = {}): Promise<Finished> => {
  const file = join(temporaryFolder(), 'bug.mjs');
  writeFileSync(file, code);
  const options = { stdin: ciphertext, home, env: { NODE_OPTIONS: `--import=${file}`, ...env } };
  return run('kms-decrypt', args, options);
};
/** The first thing that the command's own signal listener does. */
const atStart = (action: string): string =>
  `process.on('newListener', (event) => { if (event === 'SIGTERM') setImmediate(() => { ${action} }); });`;

const bugs = {
  'in the command': `String.prototype.replaceAll = () => { throw new TypeError('${secret}'); };`,
  'in a callback': atStart(`throw new TypeError('${secret}');`),
  'in a promise that nobody awaits': atStart(`Promise.reject(new TypeError('${secret}'));`),
};

describe('a bug', () => {
  for (const [where, code] of Object.entries(bugs)) {
    test(where, async () => {
      const { status, stdout, stderr } = await decryptWith(code);
      assert.deepEqual([status, stdout.length], [1, 0]);
      assert.equal(
        stderr,
        'kms-decrypt: Unexpected error (TypeError).\n' +
          'hint: This is a bug. Run it again with DEBUG=kms-poc in the environment to see where.\n',
      );
    });

    test(`${where}, with DEBUG=kms-poc: its stack, and not its text`, async () => {
      const { status, stdout, stderr } = await decryptWith(code, { DEBUG: 'kms-poc' });
      assert.deepEqual([status, stdout.length], [1, 0]);
      assert.match(stderr, /\nTypeError\n {4}at /);
      assert.ok(!stderr.includes(secret), stderr);
      assert.ok(stderr.split('\n').every((line) => line.length < 1000));
    });
  }
});
