import { garbageCollector } from './garbage.ts';

/**
 * Pieces smaller than this are joined with their neighbours: a copy costs less than a separate
 * write.
 */
const smallBytes = 64 * 1024;

/**
 * Sends bytes through one of the library's streams.
 *
 * It avoids `pipeline`, `pause` and the stream's own iterator because of how the library and Node
 * work: when it is destroyed, the encrypting stream throws where nobody can catch it; a failed
 * stream reports a later write as its error; an iterator joins all chunks that are ready into a new
 * one, which copies every byte; and a paused stream keeps its chunks in a linked list, which V8's
 * quick collections can't take apart while it never runs empty (memory then grows until the next
 * slow one). So the stream always flows, and the writing side waits.
 *
 * @param source what to send; an error that it throws comes out unchanged
 * @param stream used up, however this ends
 * @param explain turns an error of the stream itself into the one to throw
 */
export async function* throughStream(
  source: AsyncIterable<Uint8Array>,
  stream: NodeJS.ReadWriteStream,
  explain: (error: unknown) => Error,
): AsyncGenerator<Buffer> {
  const state: {
    ready: Buffer[];
    readyBytes: number;
    /** The stream has given everything it had. */
    ended: boolean;
    /** The first error from either side. */
    failure?: { error: unknown };
    /** Nobody wants the rest. */
    stopped: boolean;
    wakeReader?: () => void;
    wakeWriter?: () => void;
  } = { ready: [], readyBytes: 0, ended: false, stopped: false };

  const fail = (error: unknown): void => {
    state.failure ??= { error };
    state.wakeReader?.();
    state.wakeWriter?.();
  };
  stream.on('data', (chunk: Buffer) => {
    if (state.stopped) return;
    state.ready.push(chunk);
    state.readyBytes += chunk.length;
    state.wakeReader?.();
  });
  stream.on('end', () => {
    state.ended = true;
    state.wakeReader?.();
  });
  stream.on('error', (error) => {
    fail(explain(error));
  });
  let isFull = false;
  stream.on('drain', () => {
    isFull = false;
    state.wakeWriter?.();
  });

  const isOver = (): boolean => state.stopped || state.failure !== undefined;
  const send = async (): Promise<void> => {
    for await (const bytes of source) {
      isFull = !stream.write(bytes);
      // While the reader is busy with one large chunk, the next one is prepared, but no more.
      while ((isFull || state.readyBytes >= smallBytes) && !isOver()) {
        await new Promise<void>((resolve) => {
          state.wakeWriter = resolve;
        });
      }
      // Checked after waiting, or one more piece would be read for nobody.
      if (isOver()) return;
    }
    stream.end();
  };

  const bytesPassed = garbageCollector();
  try {
    send().catch(fail);
    for (;;) {
      const chunk = state.ready.shift();
      if (chunk !== undefined) {
        state.readyBytes -= chunk.length;
        state.wakeWriter?.();
        yield chunk;
        bytesPassed(chunk.length);
        continue;
      }
      if (state.failure !== undefined) throw state.failure.error;
      if (state.ended) return;
      await new Promise<void>((resolve) => {
        state.wakeReader = resolve;
      });
    }
  } finally {
    state.stopped = true;
    state.wakeWriter?.();
    // The stream gets to end normally, with nobody listening, rather than being destroyed: see
    // above. The library then overwrites its data key.
    stream.end();
  }
}

/**
 * Joins small pieces into larger ones (a frame's header and tag are a few bytes each), and lets
 * large ones through as they are.
 */
export async function* joinSmall(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  for await (const piece of pieces) {
    if (piece.length === 0) continue;
    if (piece.length < smallBytes) {
      waiting.push(piece);
      waitingBytes += piece.length;
      if (waitingBytes < smallBytes) continue;
    }
    if (waitingBytes > 0) {
      yield waiting.length === 1 ? (waiting[0] ?? piece) : Buffer.concat(waiting, waitingBytes);
      waiting = [];
      waitingBytes = 0;
    }
    if (piece.length >= smallBytes) yield piece;
  }
  if (waitingBytes > 0) yield Buffer.concat(waiting, waitingBytes);
}
