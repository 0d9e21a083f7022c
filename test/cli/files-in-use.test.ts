/** An output never takes the place of a key or of the settings that the run itself uses. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';

import { run, temporaryFolder } from '../support/command.ts';
import { makeRsaPair } from '../support/rsa-keys.ts';

const cwd = temporaryFolder();
const inFolder = { cwd, home: cwd, env: { RSA_PASSPHRASE_FILE: 'passphrase', XDG_DATA_HOME: cwd } };
let ciphertext: Buffer;
before(async () => {
  const args = ['-u', 'alice', '-k', 'local:there.key', '-q'];
  ({ stdout: ciphertext } = await run('kms-encrypt', args, { ...inFolder, stdin: 'x' }));
  makeRsaPair(cwd, 'pair');
  writeFileSync(join(cwd, 'named.env'), 'USERS=alice\n', { mode: 0o600 });
  writeFileSync(join(cwd, 'passphrase'), 'a passphrase\n', { mode: 0o600 });
  symlinkSync('there.key', join(cwd, 'link'));
  mkdirSync(join(cwd, 'kms-poc'));
});

/** All names in the folder, and what is in the files. */
const contents = (): string[] =>
  readdirSync(cwd, { recursive: true, withFileTypes: true }).map((each) =>
    each.isFile()
      ? `${each.name}: ${readFileSync(join(each.parentPath, each.name), 'utf8')}`
      : each.name,
  );

const cases: [what: string, commandLine: string, output: string][] = [
  ['a local key', 'kms-encrypt -k local:there.key', 'there.key'],
  ['a local key, by a link', 'kms-encrypt -k local:there.key', 'link'],
  ['a local key that is yet to be made', 'kms-encrypt -k local:new.key', './new.key'],
  ['the local key without a name', 'kms-encrypt -k local', 'kms-poc/local.key'],
  ['the key of a batch', 'kms-encrypt --batch -k local:there.key', 'there.key'],
  ['an RSA public key', 'kms-encrypt -k rsa:pair-public.pem', 'pair-public.pem'],
  ['an RSA private key', 'kms-decrypt -k rsa:pair-private.pem', 'pair-private.pem'],
  ['a key that opens a batch', 'kms-decrypt --batch -k rsa:pair-private.pem', 'pair-private.pem'],
  ['a key to move to', 'kms-reencrypt -k local:there.key --to-key local:new.key', 'new.key'],
  ['a key to move a batch to', 'kms-reencrypt --batch -k local --to-key local:new.key', 'new.key'],
  ['a settings file', 'kms-encrypt -k local:there.key --env-file named.env', 'named.env'],
  ['a passphrase', 'kms-decrypt -k rsa:pair-private.pem', 'passphrase'],
];
for (const [what, commandLine, output] of cases) {
  test(`not of ${what}`, async () => {
    const [command = '', ...args] = commandLine.split(' ');
    const contentsBefore = contents();
    const { status, stdout, stderr } = await run(command, ['-u', 'alice', ...args, '-o', output], {
      ...inFolder,
      stdin: ciphertext,
    });
    assert.deepEqual([status, stdout.length], [2, 0]);
    const error = `${command}: ${output} has a key or the settings of this run, and would be lost.\n`;
    assert.ok(stderr.endsWith(`${error}hint: Write to another file.\n`), stderr);
    assert.deepEqual(contents(), contentsBefore);
  });
}
