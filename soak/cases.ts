/** A case: which message, what is changed in it, how it is wrapped, and who asks for it. */
import { changes } from './changes.ts';
import type { Layout } from './layout.ts';
import type { Original } from './originals.ts';
import { createRandom, type Random } from './random.ts';
import { structuredChanges } from './structured-changes.ts';
import { isBytes, wrappings } from './wrappings.ts';

export interface Case {
  readonly index: number;
  readonly original: Original;
  /** The user who asks. */
  readonly user: string;
  readonly requireSigned: boolean;
  /** What kms-decrypt is given. */
  readonly input: Buffer;
  /** Lengths of the pieces in which it comes; none for all at once. */
  readonly pieces: readonly number[];
  /** What the library is given; undefined if nothing can be read out of the input. */
  readonly bytes: Buffer | undefined;
  readonly isTextChanged: boolean;
  readonly wrapping: string;
  /** For the tables: message, change and wrapping. */
  readonly labels: readonly [string, string, string];
}

const unchanged = 'nothing';
const otherUser = 'another user asks';
const inText = (name: string): string => `in the text: ${name}`;
const textChanges = Object.keys(changes);
const bytesWrapping = Object.keys(wrappings).filter(isBytes);
const textWrappings = Object.keys(wrappings).filter((name) => !isBytes(name));

export const changeNames = [
  unchanged,
  otherUser,
  ...Object.keys(changes),
  ...Object.keys(structuredChanges),
  ...textChanges.map(inText),
];

/** @returns the case of each number, which is always the same for a seed */
export function createCases(originals: readonly Original[], seed: string): (index: number) => Case {
  const envelopes = originals.filter(({ layout }) => layout !== undefined);
  const blobs = originals.filter(({ layout }) => layout === undefined);
  return (index) => {
    const random = createRandom(`${seed}/ciphertexts/${index}`);
    const name = originals[index % originals.length]?.name;
    const original = random.pick(originals.filter((each) => each.name === name));
    const sameKind = original.layout === undefined ? blobs : envelopes;
    // Of the same key more often than not: those have the best chances to pass.
    const related = sameKind.filter((each) => each.keys.join() === original.keys.join());
    const other = random.pick(random.oneIn(3) ? sameKind : related);

    const isTextChanged = random.oneIn(4);
    const wrapping = random.pick(isTextChanged || random.oneIn(2) ? textWrappings : bytesWrapping);
    const { wrap, unwrap } = wrappings[wrapping] ?? wrappings.bytes ?? notThere();
    let [change, input] = [unchanged, wrap(original.bytes)];
    if (isTextChanged) {
      change = random.pick(textChanges);
      input = changes[change]?.(random, input, wrap(other.bytes)) ?? notThere();
      change = inText(change);
    } else {
      const [name, changed] = changedMessage(random, original, other);
      [change, input] = [name, wrap(changed)];
    }
    const user = change === otherUser ? random.pick(['bob', 'carol', 'Alice']) : original.user;
    return {
      index,
      original,
      user,
      requireSigned: random.oneIn(20),
      input,
      pieces: random.oneIn(3) ? [random.between(1, 300), random.between(0, 300)] : [],
      bytes: unwrap(input),
      isTextChanged,
      wrapping,
      labels: [original.name, change, wrapping],
    };
  };
}

function changedMessage(random: Random, original: Original, other: Original): [string, Buffer] {
  const { bytes, layout } = original;
  if (random.oneIn(50)) return [random.pick([unchanged, otherUser]), bytes];
  const names = [...Object.keys(changes)];
  if (layout !== undefined) names.push(...Object.keys(structuredChanges));
  const name = random.pick(names);
  const structured = structuredChanges[name];
  const changed =
    structured !== undefined && layout !== undefined
      ? structured(random, { bytes, layout }, parsed(other))
      : (changes[name] ?? notThere())(random, bytes, other.bytes);
  // Sometimes one change on top of another.
  if (!random.oneIn(10)) return [name, changed];
  const [, again] = random.pick(Object.entries(changes));
  return [name, again(random, changed, other.bytes)];
}

function parsed({ bytes, layout }: Original): { bytes: Buffer; layout: Layout } {
  return { bytes, layout: layout ?? notThere() };
}

function notThere(): never {
  throw new Error('a case needs what is not there');
}
