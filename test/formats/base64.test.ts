import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { encodeBase64, exactBase64 } from '../../src/formats/base64.ts';
import { collectAll } from '../../src/streams/byte-stream.ts';
import { anyLengths, inPieces } from '../support/bytes.ts';

describe('encoding', () => {
  test('gives what Buffer makes of all of it, however it is split', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), anyLengths, async (bytes, lengths) => {
        const encoded = await collectAll(encodeBase64(inPieces(bytes, lengths)));
        assert.equal(
          Buffer.from(encoded).toString('latin1'),
          Buffer.from(bytes).toString('base64'),
        );
      }),
    );
  });

  test('leaves the given bytes as they are', async () => {
    const bytes = randomBytes(100);
    const copy = Buffer.from(bytes);
    await collectAll(encodeBase64(inPieces(bytes, [7])));
    assert.ok(bytes.equals(copy));
  });
});

describe('decoding exactly', () => {
  const anyBytes = fc.uint8Array({ maxLength: 50 });

  test('gives back what was encoded, across pieces too', () => {
    for (const length of [0, 1, 2, 3, 49_151, 49_152, 49_153, 98_304, 200_000]) {
      const bytes = randomBytes(length);
      assert.ok(exactBase64(Buffer.from(bytes.toString('base64')))?.equals(bytes), `${length}`);
    }
  });

  test('takes nothing but what encoding the result again gives', () => {
    const sign = fc.constantFrom(
      '=',
      '==',
      '-',
      '_',
      '+',
      'A',
      'b',
      '0',
      ' ',
      '\n',
      '\0',
      '!',
      '\xff',
      '"',
    );
    fc.assert(
      fc.property(anyBytes, sign, fc.nat(70), fc.nat(2), (bytes, added, position, removed) => {
        const right = Buffer.from(bytes).toString('base64');
        const at = Math.min(position, right.length);
        const text = right.slice(0, at) + added + right.slice(at + removed);
        const decoded = exactBase64(Buffer.from(text, 'latin1'));
        const again = Buffer.from(text, 'base64').toString('base64');
        assert.equal(decoded?.toString('base64'), again === text ? text : undefined);
      }),
      { numRuns: 5000 },
    );
  });
});
