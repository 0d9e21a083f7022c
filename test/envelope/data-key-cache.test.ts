import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeDecryptionMaterial } from '@aws-crypto/material-management-node';

import {
  cachedDataKeys,
  cachedUnwrapping,
  type DataKeyLimits,
  dataKeyLimits,
  entryBytes,
  type MessageKey,
} from '../../src/envelope/data-key-cache.ts';
import { encryptionMaterials } from '../../src/envelope/encrypt.ts';
import { type EnvelopeHeader, parseHeader } from '../../src/envelope/header.ts';
import { decryptWhole, encryptWhole } from '../../src/envelope/whole-message.ts';
import type { UnwrappingKey } from '../../src/envelope/wrapping-key.ts';
import { KmsPocError } from '../../src/errors.ts';
import { encrypt, openedKey, wrappingKey } from './messages.ts';

/** A cache of data keys whose source counts its calls, and answers late, as a service does. */
const countedDataKeys = (limits: Partial<DataKeyLimits> = {}) => {
  const source = encryptionMaterials([wrappingKey]);
  const asked: (string | undefined)[] = [];
  const dataKeyFor = cachedDataKeys(
    {
      ...source,
      getEncryptionMaterials: async (request) => {
        asked.push(request.encryptionContext.user);
        await delay(1);
        return source.getEncryptionMaterials(request);
      },
    },
    false,
    { ...dataKeyLimits, ...limits },
  );
  return { asked, dataKeyFor };
};

const headerOf = (message: Uint8Array): EnvelopeHeader => {
  const header = parseHeader(message);
  assert.ok(header);
  return header;
};

/** Different for each data key. */
const wrapped = ({ header }: MessageKey): string => header.toString('hex');

/** A message under a data key of the cache. */
const encryptWith = ({ materials, header }: MessageKey, plaintext: Buffer): Buffer =>
  encryptWhole(materials, plaintext, header);

describe('data keys to encrypt with', () => {
  test('are asked for once per user, even by many messages at once', async () => {
    const { asked, dataKeyFor } = countedDataKeys();
    const users = Array.from({ length: 100 }, (_, index) => `user${index % 5}`);
    const keys = await Promise.all(users.map((user) => dataKeyFor(user, 10)));
    assert.deepEqual(asked.sort(), ['user0', 'user1', 'user2', 'user3', 'user4']);
    assert.equal(new Set(keys.map(wrapped)).size, 5);
    for (const [index, key] of keys.entries()) {
      const user = users[index];
      assert.deepEqual(key.materials.encryptionContext, { user });
      const { encryptionContext } = headerOf(encryptWith(key, Buffer.from('x')));
      assert.deepEqual({ ...encryptionContext }, { user });
    }
  });

  test('can be shared by messages with their own ids and ciphertexts', async () => {
    const { asked, dataKeyFor } = countedDataKeys();
    const plaintext = Buffer.alloc(64);
    const [first, second] = [
      encryptWith(await dataKeyFor('alice', 64), plaintext),
      encryptWith(await dataKeyFor('alice', 64), plaintext),
    ].map((message) => ({ message, header: parseHeader(message) }));
    assert.equal(asked.length, 1);
    assert.ok(first?.header && second?.header);
    assert.deepEqual(first.header.encryptedDataKeys, second.header.encryptedDataKeys);
    const [id, otherId] = [first, second].map(({ header }) =>
      Buffer.from(header?.info.messageHeader.messageId ?? []).toString('hex'),
    );
    assert.notEqual(id, otherId);
    const tail = (message: Buffer): string => message.subarray(-64 - 16).toString('hex');
    assert.notEqual(tail(first.message), tail(second.message));
  });

  test('are replaced after so many messages', async () => {
    const { asked, dataKeyFor } = countedDataKeys({ maxMessages: 3 });
    await Promise.all(Array.from({ length: 9 }, () => dataKeyFor('alice', 1)));
    assert.equal(asked.length, 3);
  });

  test('are replaced after so many bytes', async () => {
    const { asked, dataKeyFor } = countedDataKeys({ maxBytes: 100 });
    for (const length of [60, 40, 1, 99]) await dataKeyFor('alice', length);
    assert.equal(asked.length, 2);
    // If a single message is longer than that, its data key is used for it alone.
    const large = await dataKeyFor('alice', 101);
    assert.notEqual(wrapped(large), wrapped(await dataKeyFor('alice', 1)));
  });

  test('are replaced when they are old', async (t) => {
    t.mock.timers.enable({ apis: ['Date'] });
    const { asked, dataKeyFor } = countedDataKeys({ maxAgeMs: 1 });
    const first = await dataKeyFor('alice', 1);
    t.mock.timers.tick(2);
    assert.notEqual(wrapped(await dataKeyFor('alice', 1)), wrapped(first));
    assert.equal(asked.length, 2);
  });

  test('take no more memory than they may: the least recently used one is dropped', async () => {
    const { header } = await countedDataKeys().dataKeyFor('a', 1);
    // With room for two, but not for three.
    const { asked, dataKeyFor } = countedDataKeys({
      maxMemory: 2.5 * (entryBytes + header.length),
    });
    for (const user of ['a', 'b', 'a', 'c', 'a', 'b']) await dataKeyFor(user, 1);
    assert.deepEqual(asked, ['a', 'b', 'c', 'b']);
  });

  test('come to as many as memory allows, each still its own', async () => {
    const { asked, dataKeyFor } = countedDataKeys();
    const users = Array.from({ length: 300 }, (_, index) => `user${index}`);
    const keys = await Promise.all(users.map((user) => dataKeyFor(user, 1)));
    const again = await Promise.all(users.map((user) => dataKeyFor(user, 1)));
    assert.equal(asked.length, 300);
    assert.deepEqual(again.map(wrapped), keys.map(wrapped));
    const lendMaterials = cachedUnwrapping([openedKey(wrappingKey)], () => undefined);
    for (const [index, key] of again.entries()) {
      const message = encryptWith(key, Buffer.from(users[index] ?? ''));
      const header = headerOf(message);
      assert.equal(
        (
          await lendMaterials(header, (materials) => decryptWhole(header, materials, message))
        )?.toString(),
        users[index],
      );
    }
  });

  test('a failure goes to those who asked, and is not kept', async () => {
    const source = encryptionMaterials([wrappingKey]);
    let failures = 1;
    const dataKeyFor = cachedDataKeys(
      {
        ...source,
        getEncryptionMaterials: (request) =>
          failures-- > 0
            ? Promise.reject(new Error('gone'))
            : source.getEncryptionMaterials(request),
      },
      false,
    );
    await assert.rejects(dataKeyFor('alice', 1), /gone/);
    assert.ok(await dataKeyFor('alice', 1));
  });
});

describe('data keys to decrypt with', () => {
  const countedKey = (): { key: UnwrappingKey; count: () => number } => {
    let count = 0;
    const key = openedKey(wrappingKey);
    return {
      key: {
        ...key,
        open: async () => {
          count += 1;
          await delay(1);
          return key.open();
        },
      },
      count: () => count,
    };
  };

  test('are unwrapped once for many messages, even at the same time', async () => {
    const { dataKeyFor } = countedDataKeys();
    const { key, count } = countedKey();
    const lendMaterials = cachedUnwrapping([key], () => undefined);
    const users = Array.from({ length: 40 }, (_, index) => `user${index % 4}`);
    await Promise.all(
      users.map(async (user) => {
        const message = encryptWith(await dataKeyFor(user, 4), Buffer.from(user));
        const header = headerOf(message);
        const opened = await lendMaterials(header, (materials) =>
          decryptWhole(header, materials, message),
        );
        assert.equal(opened?.toString(), user);
      }),
    );
    assert.equal(count(), 4);
  });

  test("of one user never serve another user's header", async () => {
    const lendMaterials = cachedUnwrapping([openedKey(wrappingKey)], () => undefined);
    const message = await encrypt(Buffer.from('for alice'), { user: 'alice' });
    await lendMaterials(headerOf(message), () => undefined);
    // The same encrypted data key under another name: the key's own check refuses it.
    const name = message.indexOf('alice');
    const forged = Buffer.from(message);
    forged.write('bobby', name);
    await assert.rejects(
      lendMaterials(headerOf(forged), () => undefined),
      (error) => error instanceof KmsPocError && error.code === 'CannotDecrypt',
    );
  });

  test('are unwrapped again when they are old', async (t) => {
    t.mock.timers.enable({ apis: ['Date'] });
    const { key, count } = countedKey();
    const lendMaterials = cachedUnwrapping([key], () => undefined, {
      ...dataKeyLimits,
      maxAgeMs: 1,
    });
    const header = headerOf(await encrypt(Buffer.from('old')));
    await lendMaterials(header, () => undefined);
    t.mock.timers.tick(2);
    await lendMaterials(header, () => undefined);
    assert.equal(count(), 2);
  });

  test('are overwritten when they are old', async (t) => {
    t.mock.timers.enable({ apis: ['Date'] });
    const { key } = countedKey();
    const lendMaterials = cachedUnwrapping([key], () => undefined, {
      ...dataKeyLimits,
      maxAgeMs: 1,
    });
    const header = headerOf(await encrypt(Buffer.from('old')));
    const lent = (): Promise<NodeDecryptionMaterial> => lendMaterials(header, (each) => each);
    const first = await lent();
    assert.equal(await lent(), first);
    assert.ok(first.hasUnencryptedDataKey);
    t.mock.timers.tick(2);
    const second = await lent();
    assert.equal(first.hasUnencryptedDataKey, false);
    assert.ok(second.hasUnencryptedDataKey);
  });

  test('it is reported if it was not the first key', async () => {
    const other: UnwrappingKey = {
      name: 'another',
      mayBeNamedBy: () => false,
      open: () => Promise.reject(new Error('not asked for')),
    };
    const told: string[] = [];
    const lendMaterials = cachedUnwrapping([other, openedKey(wrappingKey)], (name) => {
      told.push(name);
    });
    const header = headerOf(await encrypt(Buffer.from('x')));
    await lendMaterials(header, () => undefined);
    await lendMaterials(header, () => undefined);
    assert.deepEqual(told, [wrappingKey.name]);
  });
});
