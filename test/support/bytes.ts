import { Buffer } from 'node:buffer';
import fc from 'fast-check';

/** Collects all bytes of a stream. */
export const collect = async (source: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
};

/**
 * Turns bytes into a stream.
 *
 * @param lengths of the pieces, repeated until all bytes are out; by default, a single piece
 */
export async function* inPieces(
  bytes: Uint8Array,
  lengths: readonly number[] = [],
): AsyncGenerator<Uint8Array> {
  let position = 0;
  for (let index = 0; position < bytes.length; index += 1) {
    const length = lengths[index % lengths.length] ?? bytes.length;
    yield bytes.subarray(position, position + length);
    position += length;
    await Promise.resolve();
  }
}

/**
 * Lengths for `inPieces`, to cut a stream in any way, including byte by byte and with empty pieces.
 */
export const anyLengths: fc.Arbitrary<number[]> = fc
  .array(fc.nat({ max: 40 }), { maxLength: 5 })
  .filter((lengths) => lengths.length === 0 || lengths.some((length) => length > 0));

export interface Outcome {
  /** What came out, even before an error. */
  output: Buffer;
  error: unknown;
}

/**
 * Reads a stream until its end or its error, and returns what came out and the error separately.
 */
export const outcomeOf = async (source: AsyncIterable<Uint8Array>): Promise<Outcome> => {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of source) pieces.push(piece);
  } catch (error) {
    return { output: Buffer.concat(pieces), error };
  }
  return { output: Buffer.concat(pieces), error: undefined };
};
