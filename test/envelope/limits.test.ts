/**
 * Hostile messages are refused before they use up memory: this looks at how much is read, and held.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { decryptMessage } from '../../src/envelope/decrypt.ts';
import { encryptionMaterials, encryptMessage } from '../../src/envelope/encrypt.ts';
import { maxEncryptedDataKeys, mebibyte } from '../../src/envelope/limits.ts';
import { localWrappingKey } from '../../src/envelope/local-wrapping-key.ts';
import { collect, inPieces } from '../support/bytes.ts';
import {
  assertRefused,
  decrypt,
  encrypt,
  encryptForeign,
  layoutOf,
  openedKey,
  wrappingKey,
} from './messages.ts';

/** Yields bytes, then zeros without end, and says how many were taken. */
const endless = (start: Uint8Array): { source: AsyncIterable<Uint8Array>; taken: () => number } => {
  let taken = 0;
  async function* source(): AsyncGenerator<Uint8Array> {
    taken += start.length;
    yield start;
    for (;;) {
      await setImmediate();
      taken += 65_536;
      yield new Uint8Array(65_536);
    }
  }
  return { source: source(), taken: () => taken };
};

const decryptStream = (ciphertext: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> =>
  decryptMessage({
    keys: [openedKey(wrappingKey)],
    user: 'alice',
    ciphertext,
    outputHeldUntilEnd: false,
  });

const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);

const sized = (bytes: Uint8Array): Buffer => Buffer.concat([uint16(bytes.length), bytes]);

/** The start of a header, with a context and data keys of any kind. */
const hostileHeader = (context: Buffer, dataKeyCount: number, dataKey: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from([2, 4, 0x78]),
    Buffer.alloc(32),
    sized(context),
    uint16(dataKeyCount),
    ...Array.from({ length: dataKeyCount }, () => dataKey),
  ]);

const aliceContext = Buffer.concat([
  uint16(1),
  sized(Buffer.from('user')),
  sized(Buffer.from('alice')),
]);

test('frames of 4 GiB', async () => {
  const message = await encryptForeign(Buffer.from('hello'), { frameLength: 0xffffffff });
  await assertRefused(decrypt(message), 'Unsupported', /frames of 4294967295 bytes/);
});

test('a header that announces frames of 4 GiB, and goes on without end', async () => {
  const message = await encrypt(Buffer.from('hello'));
  const [at] = layoutOf(message).fields['frame length'] ?? [0];
  message.writeUInt32BE(0xffffffff, at);
  const { source, taken } = endless(message);
  await assertRefused(decryptStream(source), 'Unsupported', /frames of 4294967295 bytes/);
  assert.ok(taken() <= mebibyte, `${taken()} bytes were read`);
});

test('one data key too many', async () => {
  const keys = Array.from({ length: maxEncryptedDataKeys }, (_, index) =>
    localWrappingKey(`key-${index}`, Buffer.alloc(32, index)),
  );
  const plaintext = Buffer.from('for many keys');
  const most = await encrypt(plaintext, { keys });
  assert.deepEqual(await collect(decrypt(most, { keys: keys.slice(-1) })), plaintext);

  await assert.rejects(encrypt(plaintext, { keys: [...keys, wrappingKey] }));
  const dataKey = Buffer.concat([1, 2, 3].map(() => sized(Buffer.from('x'))));
  const more = Buffer.concat([
    hostileHeader(aliceContext, maxEncryptedDataKeys + 1, dataKey),
    Buffer.alloc(1000),
  ]);
  await assertRefused(decrypt(more), 'Unsupported', /more than 16 keys/);
});

test('thousands of data keys', async () => {
  for (const length of [1, 100, 65_535]) {
    const dataKey = Buffer.concat([1, 2, 3].map(() => sized(Buffer.alloc(length, 0x61))));
    const count = Math.min(20_000, Math.ceil((4 * mebibyte) / dataKey.length));
    const { source, taken } = endless(
      hostileHeader(aliceContext, count, dataKey).subarray(0, 200_000),
    );
    await assertRefused(decryptStream(source), 'Unsupported', /longer than the limit of 64 KiB/);
    assert.ok(taken() <= mebibyte, `${taken()} bytes were read`);
  }
});

test('an encryption context of 64 KiB', async () => {
  const context = Buffer.concat([
    uint16(1),
    sized(Buffer.from('user')),
    sized(Buffer.alloc(65_000, 0x61)),
  ]);
  const { source, taken } = endless(hostileHeader(context, 1, Buffer.alloc(10)));
  await assertRefused(decryptStream(source), ['Unsupported', 'NotCiphertext', 'WrongUser']);
  assert.ok(taken() <= mebibyte, `${taken()} bytes were read`);
});

test('a header that comes byte by byte takes no time', async () => {
  const dataKey = Buffer.concat([1, 2, 3].map(() => sized(Buffer.alloc(1000, 0x61))));
  const header = hostileHeader(aliceContext, 30, dataKey);
  const start = performance.now();
  await assertRefused(
    decrypt(header, { pieces: [1] }),
    'Unsupported',
    /longer than the limit of 64 KiB/,
  );
  assert.ok(performance.now() - start < 5000);
});

test('endless bytes after the last frame', async () => {
  const message = await encrypt(Buffer.alloc(3 * mebibyte));
  const { source, taken } = endless(message);
  const outcome = decryptStream(source);
  await assert.rejects(collect(outcome), { code: 'NotCiphertext', message: /There is more after/ });
  assert.ok(taken() <= message.length + mebibyte, `${taken()} bytes were read`);
});

test('a long message takes the memory of a few frames', async () => {
  const length = 200 * mebibyte;
  const zeros = new Uint8Array(mebibyte);
  async function* plaintext(): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < length; sent += zeros.length) {
      await setImmediate();
      yield Uint8Array.from(zeros);
    }
  }
  const ciphertext = encryptMessage({
    materialsManager: encryptionMaterials([wrappingKey]),
    user: 'alice',
    plaintext: plaintext(),
  });
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  let received = 0;
  for await (const piece of decryptStream(ciphertext)) {
    received += piece.length;
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  assert.equal(received, length);
  assert.ok(most < 100 * mebibyte, `${most} bytes were held`);
});

test('a signed message of more than 64 MiB needs an output that is held until the end', async () => {
  const plaintext = Buffer.alloc(65 * mebibyte, 'x');
  const message = await encryptForeign(plaintext, { frameLength: mebibyte });
  const refused = await assertRefused(decrypt(message), 'Usage', /signed and longer than 64 MiB/);
  assert.match(refused.hint ?? '', /--out/);

  const decrypted = await collect(decrypt(message, { outputHeldUntilEnd: true }));
  assert.ok(decrypted.equals(plaintext));
});

test('no more is taken from the input than the reader of the output asks for', async () => {
  let taken = 0;
  const zeros = new Uint8Array(mebibyte);
  async function* plaintext(): AsyncGenerator<Uint8Array> {
    for (;;) {
      await setImmediate();
      taken += zeros.length;
      yield Uint8Array.from(zeros);
    }
  }
  const ciphertext = encryptMessage({
    materialsManager: encryptionMaterials([wrappingKey]),
    user: 'alice',
    plaintext: plaintext(),
  });
  const decrypted = decryptStream(ciphertext);
  await decrypted.next();
  for (let turn = 0; turn < 1000; turn += 1) await setImmediate();
  assert.ok(taken <= 32 * mebibyte, `${taken} bytes were read ahead`);
  await decrypted.return(undefined);
});

test('pieces of one byte', async () => {
  const message = await encrypt(Buffer.alloc(100_000, 'x'));
  assert.equal((await collect(decryptStream(inPieces(message, [1])))).length, 100_000);
});
