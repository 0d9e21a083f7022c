/**
 * Nothing that was changed, truncated or extended is decrypted, and nothing unverified comes out.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';
import type { ErrorCode } from '../../src/errors.ts';
import { collect, outcomeOf } from '../support/bytes.ts';
import {
  assertError,
  assertRefused,
  decrypt,
  encrypt,
  encryptForeign,
  layoutOf,
  type Layout,
} from './messages.ts';

const undecryptable: readonly ErrorCode[] = [
  'CannotDecrypt',
  'NotCiphertext',
  'Unsupported',
  'WrongKey',
  'WrongUser',
];

/** Every text that a refusal may have; the library's own never appear. */
const ourTexts =
  /^(The ciphertext (is truncated|was changed)|There is more after|This is not an AWS Encryption SDK message|The header of this message|This message (is for|is not for|has|names|opens))/;

const flipped = (message: Uint8Array, byte: number, bit: number): Buffer => {
  const changed = Buffer.from(message);
  changed[byte] = (changed[byte] ?? 0) ^ (1 << bit);
  return changed;
};

describe('a short message', () => {
  let message: Buffer;
  let layout: Layout;
  before(async () => {
    message = await encrypt(Buffer.from('this is a secret'));
    layout = layoutOf(message);
  });

  test('each flipped bit is refused, with nothing out', async () => {
    assert.equal(layout.frames.length, 1);
    for (let byte = 0; byte < message.length; byte += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const error = await assertRefused(
          decrypt(flipped(message, byte, bit)),
          undecryptable,
          ourTexts,
        );
        assert.equal(error.status, 3, `byte ${byte}, bit ${bit}`);
      }
    }
  });

  const codes: Record<string, readonly ErrorCode[]> = {
    'message id': ['CannotDecrypt'],
    'context value': ['WrongUser'],
    'provider id': ['WrongKey'],
    'encrypted data key': ['CannotDecrypt'],
    'content type': ['CannotDecrypt'],
    commitment: ['CannotDecrypt'],
    'header tag': ['CannotDecrypt'],
  };
  for (const [field, code] of Object.entries(codes)) {
    test(`a change of the header's ${field} is ${code.join()}`, async () => {
      const [start, end] = layout.fields[field] ?? [0, 0];
      assert.ok(end > start);
      for (let byte = start; byte < end; byte += 1) {
        await assertRefused(decrypt(flipped(message, byte, byte % 8)), code);
      }
    });
  }

  test('a change after the header is CannotDecrypt, always with the same text', async () => {
    const [frame] = layout.frames;
    assert.ok(frame);
    const texts = new Set<string>();
    // After the length, which decides where the message ends.
    for (let byte = frame.content; byte < frame.end; byte += 1) {
      const error = await assertRefused(decrypt(flipped(message, byte, 0)), 'CannotDecrypt');
      texts.add(`${error.message} ${error.hint ?? ''}`);
    }
    assert.equal(texts.size, 1);
  });

  test('each cut is reported as a truncation, with nothing out', async () => {
    await assertRefused(decrypt(Buffer.alloc(0)), 'NotCiphertext', /empty/);
    for (let length = 1; length < message.length; length += 1) {
      await assertRefused(decrypt(message.subarray(0, length)), 'NotCiphertext', /is truncated/);
    }
  });

  test('bytes after the end are refused, with nothing out', async () => {
    for (const added of [Buffer.alloc(1), Buffer.from('\n'), randomBytes(100_000), message]) {
      for (const pieces of [[], [1], [message.length]]) {
        const longer = Buffer.concat([message, added.subarray(0, 3000)]);
        await assertRefused(
          decrypt(longer, { pieces }),
          'NotCiphertext',
          /There is more after the end/,
        );
      }
    }
  });

  test('no ciphertext at all is refused', async () => {
    for (const text of ['x', 'hello world', '{"CiphertextBlob":"AQICAHh"}', '\u0002\u0004']) {
      await assertRefused(decrypt(Buffer.from(text)), 'NotCiphertext');
    }
  });
});

/** Frames large enough not to be joined with others on their way out. */
const frameLength = 65_536;

describe('a message of several frames', () => {
  let plaintext: Buffer;
  let message: Buffer;
  let layout: Layout;
  before(async () => {
    plaintext = randomBytes(3 * frameLength + 1000);
    message = await encrypt(plaintext, { frameLength });
    layout = layoutOf(message);
    assert.equal(layout.frames.length, 4);
  });

  /** It is refused, and only whole frames from before the changed one have come out. */
  const assertPrefix = async (changed: Buffer, firstBadFrame: number): Promise<void> => {
    for (const pieces of [[], [10_000], [1_048_576]]) {
      const outcome = await outcomeOf(decrypt(changed, { pieces }));
      assertError(outcome, undecryptable, ourTexts);
      const { output } = outcome;
      assert.equal(output.length % frameLength, 0, `${output.length} bytes came out`);
      assert.ok(output.length <= firstBadFrame * frameLength, `${output.length} bytes came out`);
      assert.ok(output.equals(plaintext.subarray(0, output.length)));
    }
  };

  test('a flipped bit in each field of the header: nothing out', async () => {
    for (const [field, [start, end]] of Object.entries(layout.fields)) {
      for (const byte of new Set([start, Math.floor((start + end) / 2), end - 1])) {
        for (const bit of [0, 7]) {
          const refused = decrypt(flipped(message, byte, bit));
          const error = await assertRefused(refused, undecryptable, ourTexts);
          assert.equal(error.status, 3, field);
        }
      }
    }
  });

  test('a flipped bit in several places of each frame', async () => {
    for (const [index, { start, content, tag, end }] of layout.frames.entries()) {
      const places = [start, start + 3, start + 4, content - 1, content, tag - 1, tag, end - 1];
      for (const byte of places) await assertPrefix(flipped(message, byte, 3), index);
    }
  });

  test('each cut around the edges of frames', async () => {
    for (const [index, { start, content, tag, end }] of layout.frames.entries()) {
      for (const edge of [start, content, tag, end]) {
        for (const length of [edge - 1, edge, edge + 1]) {
          if (length >= message.length) continue;
          const whole = length < end ? index : index + 1;
          const outcome = await outcomeOf(decrypt(message.subarray(0, length)));
          if (length > layout.header.headerLength)
            assertError(outcome, 'NotCiphertext', /is truncated/);
          await assertPrefix(message.subarray(0, length), whole);
        }
      }
    }
  });

  const frameBytes = (index: number): Buffer => {
    const frame = layout.frames[index];
    assert.ok(frame);
    return message.subarray(frame.start, frame.end);
  };
  const rearranged = (...order: number[]): Buffer =>
    Buffer.concat([message.subarray(0, layout.header.headerLength), ...order.map(frameBytes)]);

  test('frames swapped', async () => {
    await assertPrefix(rearranged(1, 0, 2, 3), 0);
    await assertPrefix(rearranged(0, 2, 1, 3), 1);
  });
  test('a frame twice', async () => {
    await assertPrefix(rearranged(0, 0, 1, 2, 3), 1);
    await assertPrefix(rearranged(0, 1, 2, 2, 3), 3);
  });
  test('a frame dropped', async () => {
    await assertPrefix(rearranged(1, 2, 3), 0);
    await assertPrefix(rearranged(0, 1, 3), 2);
  });
  test('the last frame dropped', async () => {
    await assertPrefix(rearranged(0, 1, 2), 3);
  });
  test('the last frame twice', async () => {
    await assertPrefix(rearranged(0, 1, 2, 3, 3), 3);
  });
  test('two messages joined', async () => {
    await assertPrefix(Buffer.concat([message, message]), 3);
  });
  test('a frame of another message', async () => {
    const other = await encrypt(plaintext, { frameLength });
    const otherFrames = layoutOf(other).frames;
    const frame = otherFrames[1];
    assert.ok(frame);
    const changed = Buffer.concat([
      message.subarray(0, layout.frames[1]?.start),
      other.subarray(frame.start, frame.end),
      message.subarray(layout.frames[2]?.start),
    ]);
    await assertPrefix(changed, 1);
  });
  test('the unchanged message opens', async () => {
    assert.ok((await collect(decrypt(message))).equals(plaintext));
  });
});

describe('a signed message', () => {
  const plaintext = randomBytes(10_000);
  let message: Buffer;
  before(async () => {
    message = await encryptForeign(plaintext);
  });

  test('with a changed signature is refused, with nothing out', async () => {
    // The signature comes last: its final bytes are a number, and only one value is right.
    for (const byte of [message.length - 1, message.length - 20, message.length - 60]) {
      await assertRefused(decrypt(flipped(message, byte, 2)), 'CannotDecrypt');
    }
  });
  test('with its signature missing or truncated is refused, with nothing out', async () => {
    for (const cut of [1, 50, 102, 103, 104, 105]) {
      await assertRefused(decrypt(message.subarray(0, -cut)), 'NotCiphertext', /is truncated/);
    }
  });
  test('with bytes added is refused, with nothing out', async () => {
    const longer = Buffer.concat([message, Buffer.alloc(1)]);
    await assertRefused(decrypt(longer), 'NotCiphertext', /There is more after the end/);
  });
  test('with a changed frame is refused, with nothing out', async () => {
    await assertRefused(decrypt(flipped(message, 8000, 0)), 'CannotDecrypt');
  });
});
