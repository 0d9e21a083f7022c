/** Works on many items at once, and returns the results in the order of the items. */
import { setImmediate as turnOfEventLoop } from 'node:timers/promises';

export interface InOrderLimits {
  /** How many items are worked on at once. */
  readonly maxPending: number;
  /**
   * Limits on the items that are in progress, or done but not yet taken: their total size, as given
   * by `sizeOf`, and their number.
   */
  readonly maxSize: number;
  readonly maxCount: number;
}

const itemsPerTurn = 128;

/**
 * Each result comes out as soon as it and all results before it are ready, without waiting for the
 * next item to arrive. Items are taken from `items` only as the limits allow, so a slow consumer
 * slows down everything.
 *
 * @returns the results, as many at a time as are ready
 * @throws what `work` throws, after the results before it; what `items` throws, after all results
 */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  work: (item: Item) => Promise<Result>,
  sizeOf: (item: Item) => number,
  { maxPending, maxSize, maxCount }: InOrderLimits,
): AsyncGenerator<Result[]> {
  interface Entry {
    readonly size: number;
    outcome?: { readonly result: Result } | { readonly error: unknown };
  }
  const queue: Entry[] = [];
  let pending = 0;
  /** With what was given to the consumer, until it comes back for more. */
  let size = 0;
  let isStopped = false;
  let end: { readonly error?: unknown } | undefined;
  let wakeTaker = (): void => undefined;
  let wakeGiver = (): void => undefined;

  const hasRoomFor = (itemSize: number): boolean =>
    pending < maxPending &&
    queue.length < maxCount &&
    // A single item may be larger than the limit, or it could never begin.
    (size === 0 || size + itemSize <= maxSize);

  const begin = (item: Item, itemSize: number): void => {
    const entry: Entry = { size: itemSize };
    queue.push(entry);
    pending += 1;
    size += itemSize;
    const settle = (outcome: Entry['outcome'] & object): void => {
      entry.outcome = outcome;
      pending -= 1;
      wakeGiver();
      wakeTaker();
    };
    work(item).then(
      (result) => {
        settle({ result });
      },
      (error: unknown) => {
        settle({ error });
      },
    );
  };

  let begun = 0;
  const takeAll = async (): Promise<void> => {
    for await (const item of items) {
      begun += 1;
      // Work that never waits would otherwise hold up responses, timeouts and Ctrl-C.
      if (begun % itemsPerTurn === 0) await turnOfEventLoop();
      const itemSize = sizeOf(item);
      while (!hasRoomFor(itemSize) && !isStopped) {
        await new Promise<void>((resolve) => {
          wakeGiver = resolve;
        });
      }
      if (isStopped) return;
      begin(item, itemSize);
    }
  };
  takeAll().then(
    () => {
      end = {};
      wakeTaker();
    },
    (error: unknown) => {
      end = { error };
      wakeTaker();
    },
  );

  try {
    for (;;) {
      const results: Result[] = [];
      let taken = 0;
      let failure: { readonly error: unknown } | undefined;
      for (let first = queue[0]; first?.outcome !== undefined && !failure; first = queue[0]) {
        queue.shift();
        taken += first.size;
        if ('error' in first.outcome) failure = first.outcome;
        else results.push(first.outcome.result);
      }
      if (results.length > 0) {
        wakeGiver();
        yield results;
      }
      size -= taken;
      wakeGiver();
      if (failure !== undefined) throw failure.error;
      if (results.length > 0) continue;
      if (end !== undefined && queue.length === 0) {
        if ('error' in end) throw end.error;
        return;
      }
      await new Promise<void>((resolve) => {
        wakeTaker = resolve;
      });
    }
  } finally {
    isStopped = true;
    wakeGiver();
  }
}
