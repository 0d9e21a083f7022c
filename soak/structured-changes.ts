/** Ways to change an AWS Encryption SDK message that know its parts and keep its lengths right. */
import type { Field, Layout, Range } from './layout.ts';
import type { Random } from './random.ts';

interface Parsed {
  readonly bytes: Buffer;
  readonly layout: Layout;
}

/** @param other another message, to take parts from */
type StructuredChange = (random: Random, message: Parsed, other: Parsed) => Buffer;

const cut = ({ bytes }: Parsed, { start, end }: Range): Buffer => bytes.subarray(start, end);

const replace = ({ bytes }: Parsed, { start, end }: Range, ...replacement: Buffer[]): Buffer =>
  Buffer.concat([bytes.subarray(0, start), ...replacement, bytes.subarray(end)]);

const uint16 = (value: number): Buffer => Buffer.from([(value >> 8) & 0xff, value & 0xff]);
const sized = (text: string | Buffer): Buffer =>
  Buffer.concat([uint16(Buffer.from(text).length), Buffer.from(text)]);

const named = ({ layout }: Parsed, name: string): Field[] =>
  layout.fields.filter((field) => field.name === name);

/** A number that is off by a little, or one that some program might not expect. */
function changedNumber(random: Random, bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  const last = bytes.length - 1;
  const near = (changed[last] ?? 0) + random.pick([-16, -2, -1, 1, 2, 16, 128]);
  if (random.oneIn(2)) changed[last] = near & 0xff;
  else if (random.oneIn(2)) changed.fill(random.pick([0, 0xff]));
  else random.bytes(random.between(1, bytes.length)).copy(changed);
  return changed;
}

/** The same items with one gone, doubled, moved, or one of another message among them. */
function rearranged(random: Random, items: readonly Buffer[], others: readonly Buffer[]): Buffer[] {
  const index = random.below(items.length);
  const to = random.below(items.length + 1);
  const item = random.pick(items);
  const action = random.pick(['drop', 'repeat', 'move', 'add', 'exchange', 'shuffle']);
  const without = items.filter((_, at) => at !== index);
  if (action === 'drop') return without;
  if (action === 'move') return without.toSpliced(to, 0, ...items.slice(index, index + 1));
  if (action === 'repeat') return items.toSpliced(to, 0, item);
  if (action === 'add') return items.toSpliced(to, 0, random.pick(others));
  if (action === 'exchange') return items.with(index, random.pick(others));
  return items
    .map((each) => ({ each, order: random.below(1000) }))
    .sort((a, b) => a.order - b.order)
    .map(({ each }) => each);
}

/** The context is sorted by name, but a hostile one need not be. */
function withContext(message: Parsed, pairs: readonly (readonly [string, string])[]): Buffer {
  const text = pairs.flatMap(([name, value]) => [sized(name), sized(value)]);
  const context = Buffer.concat([uint16(pairs.length), ...text]);
  const { start, end } = message.layout.context;
  return replace(message, { start: start - 2, end }, uint16(context.length), context);
}

function pairsOf(message: Parsed): [string, string][] {
  const values = named(message, 'context value');
  return named(message, 'context name').map((name, index) => {
    const value = values[index];
    return [cut(message, name).toString(), value ? cut(message, value).toString() : ''];
  });
}

const suites = [
  ...[0x0578, 0x0478, 0x0378, 0x0346, 0x0214, 0x0178, 0x0146, 0x0114, 0x0078, 0x0046, 0x0014],
  ...[0, 0xffff, 0x0479],
];

export const structuredChanges: Readonly<Record<string, StructuredChange>> = {
  'a length or number changed': (random, message) => {
    const field = random.pick(message.layout.numbers);
    return replace(message, field, changedNumber(random, cut(message, field)));
  },
  'a field overwritten': (random, message) => {
    const field = random.pick(message.layout.fields);
    const length = field.end - field.start;
    const replacement = random.pick([random.bytes(length), Buffer.alloc(length)]);
    return replace(message, field, replacement);
  },
  'a field of another message': (random, message, other) => {
    const field = random.pick(message.layout.fields);
    const theirs = named(other, field.name);
    if (theirs.length === 0) return replace(message, field);
    const replacement = cut(other, random.pick(theirs));
    const isSized = message.layout.numbers.some(
      ({ name, start, end }) =>
        name === `${field.name}: length` && end === field.start && end - start === 2,
    );
    return isSized
      ? replace(message, { start: field.start - 2, end: field.end }, sized(replacement))
      : replace(message, field, replacement);
  },
  'another version or suite': (random, message) => {
    const [suite] = named(message, 'suite');
    if (suite === undefined || random.oneIn(8)) {
      return replace(
        message,
        { start: 0, end: 1 },
        random.pick([Buffer.of(1), Buffer.of(2), Buffer.of(3)]),
      );
    }
    return replace(message, suite, uint16(random.pick(suites)));
  },
  'another content type or frame length': (random, message) => {
    const [type] = named(message, 'content type');
    const [length] = named(message, 'frame: length');
    const field = random.oneIn(2) ? type : length;
    if (field === undefined) return message.bytes;
    const values = [0, 1, 2, 3, 16, 255, 256, 4096, 2 ** 20, 2 ** 26 + 1, 2 ** 31, 2 ** 32 - 1];
    const value = Buffer.alloc(4);
    value.writeUInt32BE(random.pick(values));
    return replace(message, field, value.subarray(4 - (field.end - field.start)));
  },
  'the encryption context edited': (random, message) => {
    const pairs = pairsOf(message);
    const name = random.pick([
      'user',
      'User',
      'user ',
      'aws-crypto-public-key',
      '__proto__',
      'a',
      '',
    ]);
    const value = random.pick(['alice', 'bob', 'ALICE', '', 'alice\0', 'x'.repeat(300)]);
    const index = random.below(pairs.length);
    const action = random.pick(['add', 'rename', 'set', 'drop', 'repeat', 'reverse']);
    const [oldName, oldValue] = pairs[index] ?? ['', ''];
    if (action === 'add') pairs.splice(random.below(pairs.length + 1), 0, [name, value]);
    else if (action === 'rename') pairs[index] = [name, oldValue];
    else if (action === 'set') pairs[index] = [oldName, value];
    else if (action === 'drop') pairs.splice(index, 1);
    else if (action === 'repeat') pairs.push([oldName, value]);
    else pairs.reverse();
    return withContext(message, pairs);
  },
  'data keys rearranged': (random, message, other) => {
    const mine = message.layout.dataKeys.map((range) => cut(message, range));
    const theirs = other.layout.dataKeys.map((range) => cut(other, range));
    const keys = rearranged(random, mine, theirs);
    if (random.oneIn(10)) for (let more = 20; more > 0; more--) keys.push(random.pick(mine));
    const start = (message.layout.dataKeys[0]?.start ?? 2) - 2;
    const end = message.layout.dataKeys.at(-1)?.end ?? start;
    return replace(message, { start, end }, uint16(keys.length), ...keys);
  },
  'frames rearranged': (random, message, other) => {
    const { frames } = message.layout;
    const mine = frames.map((range) => cut(message, range));
    const theirs = other.layout.frames.map((range) => cut(other, range));
    const range = { start: frames[0]?.start ?? 0, end: frames.at(-1)?.end ?? 0 };
    return replace(message, range, ...rearranged(random, mine, theirs));
  },
  'the body or signature of another message': (random, message, other) => {
    const part = ({ layout, bytes }: Parsed, isBody: boolean): Range =>
      isBody ? { start: layout.frames[0]?.start ?? 0, end: bytes.length } : layout.signature;
    const isBody = random.oneIn(2);
    return replace(message, part(message, isBody), cut(other, part(other, isBody)));
  },
};
