import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { unwrapDataKey } from '../../src/envelope/unwrap.ts';
import { parseHeader } from '../../src/envelope/header.ts';
import { kmsWrappingKey } from '../../src/envelope/kms-wrapping-key.ts';

import { KmsPocError } from '../../src/errors.ts';
import type { DataKeyCalls } from '../../src/kms/kms.ts';
import { encrypt, openedKey } from './messages.ts';

const KeyId = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';

test('of several data keys that KMS refuses at once, each gets its own error', async () => {
  const rejections: (() => void)[] = [];
  const calls: DataKeyCalls = {
    generateDataKey: () =>
      Promise.resolve({
        KeyId,
        Plaintext: new Uint8Array(randomBytes(32)),
        CiphertextBlob: randomBytes(100),
      }),
    encrypt: () => Promise.reject(new Error('not asked for')),
    decrypt: ({ EncryptionContext: context }) =>
      new Promise((_resolve, reject) => {
        rejections.push(() => {
          reject(new KmsPocError('AccessDenied', `not for ${context?.user ?? ''}`, 'Ask.'));
        });
      }),
  };
  const key = kmsWrappingKey(KeyId, calls);
  const users = ['alice', 'bob', 'carol'];
  const messages = await Promise.all(
    users.map((user) => encrypt(Buffer.from('x'), { user, keys: [key] })),
  );
  const refused = messages.map(async (message) => {
    const header = parseHeader(message);
    assert.ok(header);
    const error: unknown = await unwrapDataKey([openedKey(key)], header).catch(
      (cause: unknown) => cause,
    );
    assert.ok(error instanceof KmsPocError);
    return error.message;
  });
  // All at once, before anyone has looked at an error.
  while (rejections.length < users.length) await Promise.resolve();
  for (const reject of rejections) reject();
  assert.deepEqual(
    await Promise.all(refused),
    users.map((user) => `not for ${user}`),
  );
});
