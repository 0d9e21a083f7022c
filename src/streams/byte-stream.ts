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

/** Collects all of a stream that is known to be short. */
export async function collectAll(stream: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

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
  return { bytes: length <= maxBytes ? Buffer.concat(chunks) : undefined, length };
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
  async function* whole(): AsyncGenerator<Uint8Array> {
    if (length > 0) yield Buffer.concat(chunks);
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { start: Buffer.concat(chunks), whole: whole() };
}

/** @returns undefined if the bytes are not UTF-8; a byte order mark is kept */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Strips the mark that some editors put at the start of a UTF-8 file. */
export const withoutByteOrderMark = (bytes: Uint8Array): Uint8Array =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
