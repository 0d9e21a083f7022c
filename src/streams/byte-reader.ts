import { asBuffer, joined } from './byte-stream.ts';

/**
 * Reads a stream of byte chunks in pieces of the caller's choice, copying as little as possible.
 */
export interface ByteReader {
  /**
   * Returns the bytes at the front without consuming them: at least `length` of them in one piece,
   * or whatever is left if the stream ends before that.
   */
  peek(length: number): Promise<Buffer>;
  /** Consumes and returns 1 to `maxLength` bytes, as they come; none at the end. */
  read(maxLength: number): Promise<Buffer>;
  /** Consumes and returns `length` bytes in one piece, or fewer at the end. */
  readExactly(length: number): Promise<Buffer>;
  /**
   * Tells the source that nothing more will be read from it, without waiting for its answer: a
   * source that is still waiting for input (a terminal, a pipe) only answers once some has arrived.
   */
  close(): void;
}

/** Chunks smaller than this are joined: each piece costs the library a turn of the event loop. */
const smallBytes = 16 * 1024;

/** @param source chunks of any size; an error that it throws comes out of the reader unchanged */
export const byteReader = (source: AsyncIterable<Uint8Array>): ByteReader => {
  const chunks = source[Symbol.asyncIterator]();
  let front: Buffer = Buffer.alloc(0);

  /** Returns the next chunk that has bytes, or undefined at the end. */
  const nextChunk = async (): Promise<Buffer | undefined> => {
    for (;;) {
      const next = await chunks.next();
      if (next.done === true) return undefined;
      // The library's streams copy a plain Uint8Array whole, and its `slice` makes a copy where a
      // Buffer's makes a view.
      if (next.value.length > 0) return asBuffer(next.value);
    }
  };

  /** Collects `length` bytes, or whatever is left, in parts. The last part may hold more. */
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
