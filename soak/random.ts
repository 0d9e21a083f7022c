/** Randomness that a seed gives again: everything a case does follows from its seed. */
import { createHash } from 'node:crypto';

export interface Random {
  /** A whole number from 0 to `limit - 1`; 0 for a limit of 0. */
  readonly below: (limit: number) => number;
  /** From `from` to `to`, both included. */
  readonly between: (from: number, to: number) => number;
  /** Whether something happens that does so with a probability of 1 in `times`. */
  readonly oneIn: (times: number) => boolean;
  readonly pick: <Item>(items: readonly [Item, ...Item[]] | readonly Item[]) => Item;
  readonly bytes: (length: number) => Buffer;
}

export function createRandom(seed: string): Random {
  let block = Buffer.alloc(0);
  let position = 0;
  let blocks = 0;
  const next = (): number => {
    if (position === block.length) {
      block = createHash('sha256').update(`${seed}/${blocks}`).digest();
      blocks += 1;
      position = 0;
    }
    position += 4;
    return block.readUInt32BE(position - 4);
  };
  const below = (limit: number): number => (limit <= 0 ? 0 : next() % limit);
  return {
    below,
    between: (from, to) => from + below(to - from + 1),
    oneIn: (times) => below(times) === 0,
    pick: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error('there is nothing to pick from');
      return item;
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}
