/** Ways to change bytes that know nothing about what the bytes mean: for messages and for text. */
import type { Random } from './random.ts';

/** @param other another message, to take parts from */
export type Change = (random: Random, bytes: Buffer, other: Buffer) => Buffer;

/** @returns two places in order, which may be the same */
function rangeIn(random: Random, { length }: Buffer, maxLength = length): [number, number] {
  const start = random.below(length + 1);
  return [start, start + random.below(Math.min(maxLength, length - start) + 1)];
}

const overwrite = (bytes: Buffer, at: number, replacement: Buffer): Buffer => {
  const changed = Buffer.from(bytes);
  replacement.copy(changed, at);
  return changed;
};

export const changes: Readonly<Record<string, Change>> = {
  'bits flipped': (random, bytes) => {
    const changed = Buffer.from(bytes);
    for (let count = random.pick([1, 1, 1, 2, 3]); count > 0 && bytes.length > 0; count--) {
      const at = random.below(bytes.length);
      changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
    }
    return changed;
  },
  'bytes overwritten': (random, bytes) => {
    const [start, end] = rangeIn(random, bytes, 16);
    return overwrite(bytes, start, random.bytes(end - start));
  },
  'a range filled': (random, bytes) => {
    const [start, end] = rangeIn(random, bytes, 16);
    return overwrite(bytes, start, Buffer.alloc(end - start, random.pick([0, 0xff, 0x41])));
  },
  'the end cut off': (random, bytes) =>
    bytes.subarray(
      0,
      random.oneIn(2) ? bytes.length - random.below(20) : random.below(bytes.length),
    ),
  'the beginning cut off': (random, bytes) => bytes.subarray(random.below(bytes.length)),
  'the middle cut out': (random, bytes) => {
    const [start, end] = rangeIn(random, bytes, 64);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  'bytes inserted': (random, bytes) => {
    const at = random.below(bytes.length + 1);
    const added = random.bytes(random.between(1, 20));
    return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at)]);
  },
  'bytes appended': (random, bytes, other) =>
    Buffer.concat([
      bytes,
      random.pick([random.bytes(random.between(1, 40)), Buffer.from('\n'), bytes, other]),
    ]),
  'ranges swapped': (random, bytes) => {
    const places = [0, 0, 0, 0].map(() => random.below(bytes.length + 1)).sort((a, b) => a - b);
    const [a = 0, b = 0, c = 0, d = 0] = places;
    const part = (start: number, end?: number): Buffer => bytes.subarray(start, end);
    return Buffer.concat([part(0, a), part(c, d), part(b, c), part(a, b), part(d)]);
  },
  'a range repeated': (random, bytes) => {
    const [start, end] = rangeIn(random, bytes);
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
  },
  'a part of another message': (random, bytes, other) => {
    const at = random.below(Math.min(bytes.length, other.length) + 1);
    const parts = random.oneIn(2) ? [bytes, other] : [other, bytes];
    const [before = bytes, after = other] = parts;
    if (random.oneIn(2)) return Buffer.concat([before.subarray(0, at), after.subarray(at)]);
    const [start, end] = rangeIn(random, other, 64);
    return overwrite(bytes, Math.min(start, bytes.length), other.subarray(start, end)).subarray(
      0,
      Math.max(bytes.length, 1),
    );
  },
};
