import { asBuffer } from './byte-stream.ts';

/** Reads a stream of byte chunks in pieces that the caller chooses, copying as little as possible. */
export interface ByteReader {
  /**
   * The bytes at the front, not consumed: at least `length` of them in one piece, or all that are
   * left if the stream ends before.
   */
  peek(length: number): Promise<Buffer>;
  /** Consumes and returns 1 to `maxLength` bytes, as they come; empty at the end. */
  read(maxLength: number): Promise<Buffer>;
  /** Consumes and returns `length` bytes in one piece, or fewer at the end. */
  readExactly(length: number): Promise<Buffer>;
  /**
   * Tells the source that nothing more will be read from it, and doesn't wait for its answer: a
   * source that is still waiting for input (a terminal, a pipe) only answers when some has come.
   */
  close(): void;
}

/** Below this, chunks are joined: each piece costs the library a turn of the event loop. */
const smallBytes = 16 * 1024;

/**
 * @param source the chunks, of any size; an error that it throws comes out of the reader unchanged
 */
export const byteReader = (source: AsyncIterable<Uint8Array>): ByteReader => {
  const chunks = source[Symbol.asyncIterator]();
  let front: Buffer = Buffer.alloc(0);

  /** The next chunk that has bytes, or undefined at the end. */
  const nextChunk = async (): Promise<Buffer | undefined> => {
    for (;;) {
      const next = await chunks.next();
      if (next.done === true) return undefined;
      // The library's streams copy a plain Uint8Array whole, and its `slice` means a copy there and
      // a view here.
      if (next.value.length > 0) return asBuffer(next.value);
    }
  };

  /** Collects `length` bytes, or what is left, in parts; the last part may have more. */
  const collect = async (length: number): Promise<Buffer[]> => {
    const parts = front.length > 0 ? [front] : [];
    let total = front.length;
    while (total < length) {
      const chunk = await nextChunk();
      if (chunk === undefined) break;
      parts.push(chunk);
      total += chunk.length;
    }
    return parts;
  };

  const readExactly = async (length: number): Promise<Buffer> => {
    const parts = await collect(length);
    const total = parts.reduce((sum, part) => sum + part.length, 0);
    const last = parts.pop() ?? front;
    const used = last.length - Math.max(0, total - length);
    front = last.subarray(used);
    return joined([...parts, last.subarray(0, used)]);
  };

  return {
    peek: async (length) => {
      if (front.length < length) front = joined(await collect(length));
      return front;
    },
    read: async (maxLength) => {
      if (front.length === 0) front = (await nextChunk()) ?? front;
      const atLeast = Math.min(maxLength, smallBytes);
      if (front.length < atLeast) return readExactly(atLeast);
      const piece = front.subarray(0, maxLength);
      front = front.subarray(piece.length);
      return piece;
    },
    readExactly,
    close: () => {
      chunks.return?.().catch(() => undefined);
    },
  };
};

/**
 * One concatenation for all parts: joining them one by one as they come would cost the square of
 * their number when a slow writer sends single bytes.
 */
const joined = (parts: Buffer[]): Buffer => {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
};
