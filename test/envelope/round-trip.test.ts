import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { encryptionMaterials, encryptMessage } from '../../src/envelope/encrypt.ts';
import { parseHeader } from '../../src/envelope/header.ts';
import { defaultFrameLength } from '../../src/envelope/limits.ts';
import { collect, inPieces } from '../support/bytes.ts';
import { decrypt, encrypt, encryptForeign, wrappingKey } from './messages.ts';

const pieceLengths = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 });

describe('what was encrypted comes back', () => {
  for (const length of [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537]) {
    test(`${length} bytes`, async () => {
      const plaintext = randomBytes(length);
      const ciphertext = await encrypt(plaintext);
      assert.deepEqual(await collect(decrypt(ciphertext)), plaintext);
    });
  }

  for (const length of [
    defaultFrameLength - 1,
    defaultFrameLength,
    defaultFrameLength + 1,
    3 * defaultFrameLength,
    3 * defaultFrameLength + 1,
  ]) {
    test(`${length} bytes, in several frames`, async () => {
      const plaintext = randomBytes(length);
      const ciphertext = await encrypt(plaintext, {
        pieces: [1_000_000, 70_000],
      });
      const decrypted = await collect(decrypt(ciphertext, { pieces: [1_048_576] }));
      assert.ok(decrypted.equals(plaintext));
    });
  }

  test('any bytes, any frame length, in any pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 20_000 }),
        fc.integer({ min: 16, max: 8192 }),
        pieceLengths,
        pieceLengths,
        async (plaintext, frameLength, plaintextPieces, ciphertextPieces) => {
          const ciphertext = await encrypt(plaintext, { frameLength, pieces: plaintextPieces });
          const decrypted = await collect(decrypt(ciphertext, { pieces: ciphertextPieces }));
          assert.ok(decrypted.equals(plaintext));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('lengths around the edges of frames, byte by byte', async () => {
    for (const length of [0, 1, 63, 64, 65, 127, 128, 129, 640]) {
      const plaintext = randomBytes(length);
      const ciphertext = await encrypt(plaintext, { frameLength: 64, pieces: [1] });
      const decrypted = await collect(decrypt(ciphertext, { pieces: [1] }));
      assert.deepEqual(decrypted, plaintext, `${length} bytes`);
    }
  });

  test('any user', async () => {
    const user = fc.stringMatching(/^[A-Za-z0-9._@+-]{1,64}$/);
    await fc.assert(
      fc.asyncProperty(user, async (name) => {
        const ciphertext = await encrypt(Buffer.from('to you'), { user: name });
        const decrypted = await collect(decrypt(ciphertext, { user: name }));
        assert.equal(decrypted.toString(), 'to you');
      }),
      { numRuns: 30 },
    );
  });

  test('a message with a signature, in many frames', async () => {
    const plaintext = randomBytes(50_000);
    const ciphertext = await encryptForeign(plaintext);
    for (const outputHeldUntilEnd of [true, false]) {
      const decrypted = await collect(decrypt(ciphertext, { outputHeldUntilEnd, pieces: [777] }));
      assert.ok(decrypted.equals(plaintext));
    }
  });
});

test('a message is of version 2 with key commitment, for its user alone', async () => {
  const ciphertext = await encrypt(Buffer.from('hello'));
  assert.equal(ciphertext.subarray(0, 3).toString('hex'), '020478');
  const header = parseHeader(ciphertext);
  assert.ok(header);
  assert.deepEqual({ ...header.encryptionContext }, { user: 'alice' });
  assert.equal(header.version, 2);
  assert.equal(header.suiteName, 'ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY');
  assert.equal(header.committing, true);
  assert.equal(header.signed, false);
  assert.equal(header.contentType, 'framed');
  assert.equal(header.frameLength, 1_048_576);
  assert.deepEqual(
    header.encryptedDataKeys.map(({ providerId, keyName }) => [providerId, keyName]),
    [['kms-poc-local', '3f9a0c11']],
  );
});

test('the ciphertext comes in pieces of about a frame, and a short one in one piece', async () => {
  const piecesFor = async (length: number): Promise<number[]> => {
    const lengths: number[] = [];
    const ciphertext = encryptMessage({
      materialsManager: encryptionMaterials([wrappingKey]),
      user: 'alice',
      plaintext: inPieces(randomBytes(length), [65_536]),
    });
    for await (const piece of ciphertext) lengths.push(piece.length);
    return lengths;
  };
  assert.equal((await piecesFor(1000)).length, 1);
  const long = await piecesFor(4 * defaultFrameLength);
  // A frame, and what comes between two of them.
  assert.ok(long.length <= 10, `${long.length} pieces`);
});
