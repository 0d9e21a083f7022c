/** Whatever is given as a key, a passphrase or settings, only a small file is read. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSmallFile } from '../../src/streams/small-file.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { makeRsaPair, writePrivate } from '../support/rsa-keys.ts';

test('up to 64 KiB come as they are; one byte more is too large', async () => {
  const file = join(temporaryFolder(), 'file');
  for (const length of [0, 1, 2 ** 16]) {
    const content = Buffer.alloc(length, 'a');
    writeFileSync(file, content);
    assert.ok(content.equals((await readSmallFile(file)).bytes));
  }
  writeFileSync(file, Buffer.alloc(2 ** 16 + 1));
  await assert.rejects(readSmallFile(file), { code: 'EFBIG' });
});

test('an endless device is refused wherever it is named', async () => {
  const { privateKey } = makeRsaPair(temporaryFolder(), 'pair');
  const locked = join(temporaryFolder(), 'locked.pem');
  const protection = { cipher: 'aes-256-cbc', passphrase: 'x' };
  writePrivate(locked, privateKey.export({ type: 'pkcs8', format: 'pem', ...protection }));
  for (const [args, env, status] of [
    [['-k', 'local:/dev/zero'], {}, 4],
    [['-k', 'rsa:/dev/zero'], {}, 4],
    [['-k', `rsa:${locked}`], { RSA_PASSPHRASE_FILE: '/dev/zero' }, 2],
    [['-k', 'local', '--env-file', '/dev/zero'], {}, 2],
  ] as const) {
    const failure = await failureOf('kms-encrypt', ['-u', 'alice', ...args], { stdin: 'x', env });
    assert.equal(failure.status, status);
    assert.match(failure.message, /: the file is too large \(EFBIG\)/);
  }
});

test('/dev/null is an empty settings file', async () => {
  const args = ['-q', '-u', 'alice', '-k', 'local', '--env-file', '/dev/null'];
  assert.equal((await run('kms-encrypt', args, { stdin: 'x' })).status, 0);
});
