import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DecryptCommand, EncryptCommand } from '@aws-sdk/client-kms';
import { run, temporaryFolder } from './command.ts';
import { type Moto, startMoto } from './moto.ts';
import { pythonProgram } from './python.ts';

const plaintext = new TextEncoder().encode('this is a secret');
const EncryptionContext = { user: 'alice' };

let moto: Moto;
before(async () => {
  moto = await startMoto();
});
after(() => moto.stop());

test('what the SDK encrypts, aws kms decrypts for the same user only', async () => {
  const { keyArn } = await moto.createKey({ alias: 'theKey' });
  const encrypted = await moto
    .kms()
    .send(new EncryptCommand({ KeyId: 'alias/theKey', Plaintext: plaintext, EncryptionContext }));
  assert.equal(encrypted.KeyId, keyArn);
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'blob'), encrypted.CiphertextBlob ?? '');

  const decryptFor = (user: string): ReturnType<typeof run> =>
    run(
      pythonProgram('aws'),
      [
        ...['kms', 'decrypt', '--ciphertext-blob', 'fileb://blob'],
        ...['--encryption-context', `user=${user}`, '--query', 'Plaintext', '--output', 'text'],
      ],
      { cwd: folder, env: moto.env },
    );
  const [forAlice, forBob] = await Promise.all([decryptFor('alice'), decryptFor('bob')]);

  assert.deepEqual([forAlice.stderr, forAlice.status], ['', 0]);
  assert.deepEqual(Buffer.from(forAlice.stdout.toString(), 'base64'), Buffer.from(plaintext));
  assert.match(forBob.stderr, /InvalidCiphertextException/);
  assert.equal(forBob.stdout.length, 0);
});

test('a multi-Region key opens its messages in both Regions', async () => {
  const key = await moto.createKey({ alias: 'both', replicaRegion: 'us-east-1' });
  assert.match(key.keyId, /^mrk-[0-9a-f]{32}$/);
  assert.equal(key.replicaArn, key.keyArn.replace('eu-central-1', 'us-east-1'));
  const { CiphertextBlob } = await moto
    .kms()
    .send(new EncryptCommand({ KeyId: key.keyId, Plaintext: plaintext, EncryptionContext }));

  for (const [region, keyArn] of [
    ['eu-central-1', key.keyArn],
    ['us-east-1', key.replicaArn],
  ]) {
    const decrypted = await moto
      .kms(region)
      .send(new DecryptCommand({ KeyId: 'alias/both', CiphertextBlob, EncryptionContext }));
    assert.deepEqual(decrypted.Plaintext, plaintext);
    assert.equal(decrypted.KeyId, keyArn);
  }
});
