/** AWS's `aws-encryption-cli` reads what the commands write under a KMS key, and vice versa. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Finished, run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { pythonProgram } from '../support/python.ts';

let moto: Moto;
let key: TestKey;
const cwd = temporaryFolder();
const plaintext = randomBytes(2.5 * 2 ** 20);
before(async () => {
  moto = await startMoto();
  key = await moto.createKey({ alias: 'theKey' });
  writeFileSync(join(cwd, 'plain'), plaintext);
});
after(() => moto.stop());

const encryptionCli = async (args: string[]): Promise<void> => {
  const { status, stderr } = await run(
    pythonProgram('aws-encryption-cli'),
    [
      ...args,
      ...['--wrapping-keys', `key=${key.keyArn}`, '--encryption-context', 'user=alice'],
      ...['--commitment-policy', 'require-encrypt-require-decrypt', '--suppress-metadata'],
    ],
    { env: moto.env, cwd, timeoutMs: 90_000 },
  );
  assert.equal(status, 0, stderr);
};
const runFor = (command: string, args: string[]): Promise<Finished> =>
  run(command, ['-u', 'alice', '-k', 'alias/theKey', ...args], { env: moto.env, cwd });
const isPlaintext = (file: string): void => {
  assert.ok(readFileSync(join(cwd, file)).equals(plaintext), file);
};

test('aws-encryption-cli reads what kms-encrypt writes, in bytes and base64', async () => {
  const forms = [
    { file: 'ours', binary: ['--binary'], decode: [] },
    { file: 'ours.b64', binary: [], decode: ['--decode'] },
  ];
  for (const { file, binary, decode } of forms) {
    const { status, stderr } = await runFor('kms-encrypt', ['-i', 'plain', '-o', file, ...binary]);
    assert.equal(status, 0, stderr);
    await encryptionCli(['--decrypt', '-i', file, '-o', `${file}.back`, ...decode]);
    isPlaintext(`${file}.back`);
  }
});

test('kms-decrypt reads what aws-encryption-cli writes: signed or not, in bytes and base64', async () => {
  const unsigned = ['--algorithm', 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY'];
  for (const [file, more] of [
    ['signed', []],
    ['signed.b64', ['--encode']],
    ['unsigned', [...unsigned, '--frame-length', '65536']],
  ] as const) {
    await encryptionCli(['--encrypt', '-i', 'plain', '-o', file, ...more]);
    const toFile = await runFor('kms-decrypt', ['-i', file, '-o', `${file}.back`]);
    assert.equal(toFile.status, 0, toFile.stderr);
    isPlaintext(`${file}.back`);
    const toPipe = await runFor('kms-decrypt', ['-i', file]);
    assert.equal(toPipe.status, 0, toPipe.stderr);
    assert.ok(toPipe.stdout.equals(plaintext));
    const forBob = await failureOf('kms-decrypt', ['-u', 'bob', '-k', 'alias/theKey', '-i', file], {
      env: moto.env,
      cwd,
    });
    assert.deepEqual([forBob.status, forBob.code], [3, 'WrongUser']);
  }
});
