import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import fc from 'fast-check';

import { encodeBase64 } from '../../src/formats/base64.ts';
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
