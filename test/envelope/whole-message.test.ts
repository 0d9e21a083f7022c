/**
 * Messages written and opened without the library's streams, compared with those of the streams.
 */
import assert, { AssertionError } from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import {
  AlgorithmSuiteIdentifier,
  CommitmentPolicy,
  NodeAlgorithmSuite,
  type NodeEncryptionMaterial,
} from '@aws-crypto/material-management-node';
import { KmsPocError } from '../../src/errors.ts';
import { unwrapDataKey } from '../../src/envelope/unwrap.ts';
import { encryptionMaterials } from '../../src/envelope/encrypt.ts';
import { parseHeader } from '../../src/envelope/header.ts';
import { defaultFrameLength } from '../../src/envelope/limits.ts';
import { isPlainFramed } from '../../src/envelope/repeated-headers.ts';
import { decryptWhole, encryptWhole } from '../../src/envelope/whole-message.ts';

import { collect } from '../support/bytes.ts';
import { decrypt, encrypt, encryptForeign, layoutOf, openedKey, wrappingKey } from './messages.ts';

const newMaterials = (): Promise<NodeEncryptionMaterial> =>
  encryptionMaterials([wrappingKey]).getEncryptionMaterials({
    suite: new NodeAlgorithmSuite(
      AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
    ),
    encryptionContext: { user: 'alice' },
    commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  });

/** @returns undefined if the message is damaged */
const open = async (message: Buffer): Promise<Buffer | undefined> => {
  const header = parseHeader(message);
  assert.ok(header && isPlainFramed(header));
  const { materials } = await unwrapDataKey([openedKey(wrappingKey)], header);
  return decryptWhole(header, materials, message);
};

const lengths = [0, 1, 200, 4096, ...[-1, 0, 1].map((by) => defaultFrameLength + by), 2 ** 21 + 1];

for (const length of lengths) {
  test(`${length} bytes: each side reads the other's messages`, async () => {
    const plaintext = randomBytes(length);
    const message = encryptWhole(await newMaterials(), plaintext);
    assert.ok((await open(message))?.equals(plaintext));
    assert.ok((await collect(decrypt(message))).equals(plaintext));
    assert.ok((await open(await encrypt(plaintext)))?.equals(plaintext));
  });
}

test('a message of many short frames is read', async () => {
  const plaintext = randomBytes(1000);
  assert.ok((await open(await encrypt(plaintext, { frameLength: 7 })))?.equals(plaintext));
});

test('the data key is overwritten', async () => {
  const materials = await newMaterials();
  encryptWhole(materials, Buffer.alloc(1));
  assert.equal(materials.hasUnencryptedDataKey, false);
});

describe('what was changed never opens', () => {
  /** Also undefined for an invalid header, and for one whose data key can't be unwrapped. */
  const tryToOpen = async (message: Buffer): Promise<Buffer | undefined> => {
    try {
      return await open(message);
    } catch (error) {
      if (error instanceof KmsPocError || error instanceof AssertionError) return undefined;
      throw error;
    }
  };
  const flipped = (message: Buffer, bit: number): Buffer => {
    const copy = Buffer.from(message);
    copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    return copy;
  };

  test('each flipped bit', async () => {
    const message = encryptWhole(await newMaterials(), randomBytes(20));
    const { header } = layoutOf(message);
    for (let bit = 0; bit < message.length * 8; bit++) {
      // After the header, and in its tag and commitment, only the cipher notices a change.
      const isCipherAlone = bit >= (header.headerLength - 16 - 32) * 8;
      const opened = await (isCipherAlone ? open : tryToOpen)(flipped(message, bit));
      assert.equal(opened, undefined, `bit ${bit % 8} of byte ${bit >> 3}`);
    }
  });

  test('each cut, and anything added', async () => {
    const message = encryptWhole(await newMaterials(), randomBytes(20));
    const { header } = layoutOf(message);
    for (let length = header.headerLength; length < message.length; length++) {
      assert.equal(await open(message.subarray(0, length)), undefined, `${length} bytes`);
    }
    assert.equal(await open(Buffer.concat([message, Buffer.alloc(1)])), undefined);
    assert.equal(await open(Buffer.concat([message, message])), undefined);
  });

  test('frames swapped, dropped and doubled', async () => {
    const message = await encrypt(randomBytes(35), { frameLength: 10 });
    const { header, frames } = layoutOf(message);
    const pieces = frames.map(({ start, end }) => message.subarray(start, end));
    const inOrder = (...order: number[]): Buffer =>
      Buffer.concat([
        message.subarray(0, header.headerLength),
        ...order.map((index) => pieces[index] ?? Buffer.alloc(0)),
      ]);
    assert.ok(await open(inOrder(0, 1, 2, 3)));
    for (const order of [
      [1, 0, 2, 3],
      [0, 2, 3],
      [0, 1, 2],
      [0, 0, 1, 2, 3],
      [3],
      [0, 1, 2, 3, 3],
    ]) {
      assert.equal(await open(inOrder(...order)), undefined, order.join());
    }
  });

  test('a data key other than the one it commits to', async () => {
    const message = encryptWhole(await newMaterials(), randomBytes(20));
    const other = encryptWhole(await newMaterials(), randomBytes(20));
    const header = parseHeader(message);
    const otherHeader = parseHeader(other);
    assert.ok(header && otherHeader);
    const { materials } = await unwrapDataKey([openedKey(wrappingKey)], otherHeader);
    assert.equal(decryptWhole(header, materials, message), undefined);
  });
});

test('messages without commitment are left to the streams, signed ones are not', async () => {
  const plaintext = Buffer.from('signed');
  const [signed, uncommitted] = await Promise.all([
    encryptForeign(plaintext),
    encryptForeign(plaintext, { suite: 'ALG_AES256_GCM_IV12_TAG16_HKDF_SHA256' }),
  ]);
  for (const [message, expected] of [
    [signed, true],
    [uncommitted, false],
  ] as const) {
    const header = parseHeader(message);
    assert.equal(header && isPlainFramed(header), expected);
  }
});
