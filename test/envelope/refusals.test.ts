/** Who is not allowed, who is not able, and what they are told. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  KeyringNode,
  type NodeDecryptionMaterial,
  type NodeEncryptionMaterial,
} from '@aws-crypto/material-management-node';
import { KmsPocError } from '../../src/errors.ts';

import { decryptMessage } from '../../src/envelope/decrypt.ts';
import { encryptionMaterials, encryptMessage } from '../../src/envelope/encrypt.ts';
import { localWrappingKey } from '../../src/envelope/local-wrapping-key.ts';
import type { WrappingKey } from '../../src/envelope/wrapping-key.ts';
import { collect, inPieces, outcomeOf } from '../support/bytes.ts';
import {
  assertError,
  assertRefused,
  decrypt,
  encrypt,
  encryptForeign,
  openedKey,
  wrappingKey,
} from './messages.ts';

/** A keyring whose service always fails, and that counts how often it was asked. */
class FailingKeyring extends KeyringNode {
  asked = 0;
  readonly #error: Error;
  constructor(error: Error) {
    super();
    this.#error = error;
  }
  _onEncrypt(): Promise<NodeEncryptionMaterial> {
    this.asked += 1;
    return Promise.reject(this.#error);
  }
  _onDecrypt(): Promise<NodeDecryptionMaterial> {
    this.asked += 1;
    return Promise.reject(this.#error);
  }
}

const failingKey = (error: Error): WrappingKey & { keyring: FailingKeyring } => ({
  name: 'failing key',
  keyring: new FailingKeyring(error),
  isNamedBy: () => true,
});

const message = await encrypt(Buffer.from('this is a secret'));
const long = await encrypt(randomBytes(300_000), { frameLength: 65_536 });

describe('the wrong user', () => {
  test('is refused by name, and no key is asked', async () => {
    const key = failingKey(new Error('asked'));
    const refused = await assertRefused(
      decrypt(message, { user: 'bob', keys: [key] }),
      'WrongUser',
      /^This message is for alice, not for bob\.$/,
    );
    assert.equal(refused.status, 3);
    assert.equal(key.keyring.asked, 0);
  });

  const contexts: Record<string, Record<string, string>> = {
    'a field more': { user: 'alice', purpose: 'backup' },
    'no user': { purpose: 'backup' },
    'no context': {},
    'another case': { user: 'Alice' },
    'a space': { user: 'alice ' },
    'another name for the field': { User: 'alice' },
  };
  for (const [what, encryptionContext] of Object.entries(contexts)) {
    test(`${what} in the context is refused, and no key is asked`, async () => {
      const foreign = await encryptForeign(Buffer.from('secret'), {
        suite: 'ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY',
        encryptionContext,
      });
      const key = failingKey(new Error('asked'));
      await assertRefused(decrypt(foreign, { keys: [key] }), 'WrongUser');
      assert.equal(key.keyring.asked, 0);
    });
  }

  test('a name that could control a terminal is not shown', async () => {
    for (const user of ['\u001b[2J\u001b[H', 'x'.repeat(65), 'a b', 'ö', '']) {
      const foreign = await encryptForeign(Buffer.from('secret'), { encryptionContext: { user } });
      await assertRefused(decrypt(foreign), 'WrongUser', /^This message is not for alice\.$/);
    }
  });
});

describe('the wrong key', () => {
  test('names the key of the message and the keys given', async () => {
    const other = localWrappingKey('b0710000', randomBytes(32));
    const refused = await assertRefused(
      decrypt(message, { keys: [other] }),
      'WrongKey',
      /opens with local key 3f9a0c11, not with local key b0710000\.$/,
    );
    assert.equal(refused.status, 3);
  });

  test('a key of the same name with other bytes', async () => {
    const other = localWrappingKey('3f9a0c11', randomBytes(32));
    await assertRefused(decrypt(message, { keys: [other] }), 'CannotDecrypt');
  });

  test('the names of keys are made printable and bounded', async () => {
    const keys = Array.from({ length: 6 }, (_, index) =>
      localWrappingKey(`\u001b[31m${index}${'x'.repeat(300)}`, randomBytes(32)),
    );
    const foreign = await encrypt(Buffer.from('secret'), { keys });
    const refused = await assertRefused(decrypt(foreign), 'WrongKey', /and 2 more/);
    assert.match(refused.message, /^[\x20-\x7e…]*$/);
    assert.ok(refused.message.length < 1000);
  });

  test('a key that the header does not name is not asked', async () => {
    const key = { ...failingKey(new Error('asked')), isNamedBy: () => false };
    const plaintext = await collect(decrypt(message, { keys: [key, wrappingKey] }));
    assert.equal(plaintext.toString(), 'this is a secret');
    assert.equal(key.keyring.asked, 0);
  });
});

describe('several keys', () => {
  const second = localWrappingKey('second', randomBytes(32));

  test('each opens the message alone, and it is reported which one did', async () => {
    const both = await encrypt(Buffer.from('for two keys'), { keys: [wrappingKey, second] });
    for (const key of [wrappingKey, second]) {
      const opened: WrappingKey[] = [];
      const plaintext = await collect(
        decrypt(both, {
          keys: [key],
          onOpened: (by) => {
            opened.push(by.key);
          },
        }),
      );
      assert.equal(plaintext.toString(), 'for two keys');
      assert.deepEqual(opened, [key]);
    }
  });

  test('the next is asked when the first fails', async () => {
    const first = failingKey(new Error('unreachable'));
    const plaintext = await collect(decrypt(message, { keys: [first, wrappingKey] }));
    assert.equal(plaintext.toString(), 'this is a secret');
    assert.equal(first.keyring.asked, 1);
  });

  test('when all fail, every error is reported, with the code of the first', async () => {
    const denied = new KmsPocError('AccessDenied', 'KMS said no (AccessDeniedException).', 'Ask.');
    const unreachable = new KmsPocError('Unavailable', 'KMS did not answer.', 'Wait.');
    const keys = [failingKey(denied), failingKey(unreachable)];
    const { error, output } = await outcomeOf(decrypt(message, { keys }));
    assert.ok(error instanceof KmsPocError);
    assert.deepEqual(
      [error.code, error.message, error.hint, error.cause],
      ['AccessDenied', 'KMS said no (AccessDeniedException). KMS did not answer.', 'Ask.', denied],
    );
    assert.equal(output.length, 0);
  });
});

describe('errors of a key’s service', () => {
  const denied = new KmsPocError('AccessDenied', 'KMS said no (AccessDeniedException).', 'Ask.');

  test('pass through when decrypting', async () => {
    const outcome = await outcomeOf(decrypt(message, { keys: [failingKey(denied)] }));
    assert.equal(outcome.error, denied);
  });
  test('pass through when encrypting', async () => {
    await assert.rejects(encrypt(Buffer.from('x'), { keys: [failingKey(denied)] }), denied);
    await assert.rejects(
      encrypt(Buffer.from('x'), { keys: [wrappingKey, failingKey(denied)] }),
      denied,
    );
  });
  test('that are not ours become the one cryptographic error', async () => {
    const key = failingKey(new Error('Error #1 \n at internal text'));
    const refused = await assertRefused(decrypt(message, { keys: [key] }), 'CannotDecrypt');
    assert.doesNotMatch(refused.message, /internal/);
  });
});

describe('messages that are not read', () => {
  for (const suite of [
    'ALG_AES256_GCM_IV12_TAG16_HKDF_SHA256',
    'ALG_AES256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384',
    'ALG_AES128_GCM_IV12_TAG16',
  ] as const) {
    test(`without key commitment: ${suite}`, async () => {
      const foreign = await encryptForeign(Buffer.from('secret'), { suite });
      const key = failingKey(new Error('asked'));
      await assertRefused(decrypt(foreign, { keys: [key] }), 'Unsupported', new RegExp(suite));
      assert.equal(key.keyring.asked, 0);
    });
  }
});

describe('the ends of a stream', () => {
  const readError = new Error('EIO: i/o error, read');
  async function* failing(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    yield bytes;
    await Promise.resolve();
    throw readError;
  }
  const decryptFrom = (ciphertext: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> =>
    decryptMessage({
      keys: [openedKey(wrappingKey)],
      user: 'alice',
      ciphertext,
      outputHeldUntilEnd: false,
    });
  const encryptFrom = (plaintext: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> =>
    encryptMessage({
      materialsManager: encryptionMaterials([wrappingKey]),
      user: 'alice',
      plaintext,
    });

  test('an error of the input passes through unchanged', async () => {
    for (const length of [0, 100, 1000, 200_000]) {
      const outcome = await outcomeOf(decryptFrom(failing(long.subarray(0, length))));
      assert.equal(outcome.error, readError);
    }
    assert.equal((await outcomeOf(encryptFrom(failing(randomBytes(3e6))))).error, readError);
  });

  test('a refusal does not wait for more input', async () => {
    async function* neverEnding(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      yield bytes;
      await new Promise(() => undefined);
    }
    const changed = Buffer.from(long.subarray(0, 200_000));
    changed[100_000] = (changed[100_000] ?? 0) ^ 1;
    assertError(await outcomeOf(decryptFrom(neverEnding(changed))), 'CannotDecrypt');
  });

  test('a reader that stops closes the input', async () => {
    for (const through of [decryptFrom, encryptFrom]) {
      let closed = false;
      async function* watched(): AsyncGenerator<Uint8Array> {
        try {
          yield* inPieces(long, [10_000]);
          for (;;) yield* inPieces(new Uint8Array(1e6), [10_000]);
        } finally {
          closed = true;
        }
      }
      for await (const piece of through(watched())) {
        assert.ok(piece.length > 0);
        break;
      }
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(closed, true);
    }
  });
});
