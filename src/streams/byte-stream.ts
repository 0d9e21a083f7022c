/** Helpers for streams of bytes. */

export type ByteStream = AsyncIterable<Uint8Array>;

/**
 * The same memory as a Buffer, which has methods that a plain Uint8Array lacks. (`Buffer.from`
 * would copy the bytes.)
 */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A stream of one chunk. */
export async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield bytes;
}

/** A stream of many pieces, the small ones joined. */
export async function* streamOfPieces(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  yield* inLargePieces(pieces);
}

/** Collects all of a stream that is known to be short. */
export async function collectAll(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return joined(chunks);
}

/** A single chunk, which may be large, is not copied. */
export const joined = (chunks: readonly Uint8Array[]): Buffer =>
  chunks.length === 1 && chunks[0] !== undefined ? asBuffer(chunks[0]) : Buffer.concat(chunks);

/**
 * Collects a stream and its length. If that is more than `maxBytes`, only the length is returned.
 */
export async function collect(
  stream: ByteStream,
  maxBytes: number,
): Promise<{ bytes: Uint8Array; length: number } | { bytes: undefined; length: number }> {
  let chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length <= maxBytes) chunks.push(chunk);
    else chunks = [];
  }
  return length <= maxBytes ? { bytes: joined(chunks), length } : { bytes: undefined, length };
}

/**
 * Returns the first bytes of a stream, at least `minBytes` if it has that many, and the whole
 * stream as if it had not been read.
 */
export async function peek(
  stream: ByteStream,
  minBytes: number,
): Promise<{ start: Uint8Array; whole: ByteStream }> {
  const iterator = stream[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < minBytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    chunks.push(next.value);
    length += next.value.length;
  }
  const start = joined(chunks);
  async function* whole(): AsyncGenerator<Uint8Array> {
    if (length > 0) yield start;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { start, whole: whole() };
}

/** What is joined, since each write costs a call of the system. */
const largeBytes = 2 ** 16;

/** Joins small pieces; a large one comes out as it is. */
export function* inLargePieces(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for (const piece of pieces) {
    if (piece.length < largeBytes) {
      parts.push(piece);
      length += piece.length;
    }
    if (length >= largeBytes || (piece.length >= largeBytes && length > 0)) {
      yield Buffer.concat(parts);
      parts = [];
      length = 0;
    }
    if (piece.length >= largeBytes) yield piece;
  }
  if (length > 0) yield Buffer.concat(parts);
}
