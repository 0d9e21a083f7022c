/**
 * JSON (RFC 8259) as text. Values are neither built nor printed again: that would round large
 * numbers, drop one of two fields with the same name, move fields with numeric names to the front,
 * and take fifty times the text's memory.
 */
import { base64Pieces } from './base64.ts';
import { textPieces } from './text.ts';

/**
 * Deeper nesting counts as not valid. Many parsers stop there, Python's among them; and a limit keeps
 * memory in bounds.
 */
export const maxDepth = 1000;

/** A field of an object, and its position in the text. */
export interface Field {
  readonly name: string;
  /** Start of the name, including its quotes. */
  readonly start: number;
  readonly nameEnd: number;
  /** Start of the value. */
  readonly valueStart: number;
  readonly end: number;
  /** Start of the next field, or of the brace that closes the object. */
  readonly next: number;
}

export interface ObjectText {
  readonly bytes: Buffer;
  /** Position of the brace that closes it. */
  readonly close: number;
  /** Those that were looked for, in order; two may have the same name. */
  readonly fields: readonly Field[];
  /** Of all fields, the others included. */
  readonly fieldCount: number;
}

/** A position behind every text, where no byte is. */
const invalid = Infinity;

/**
 * @param bytes in UTF-8, which is not checked
 * @param names of the fields to find
 * @returns undefined for anything but an object
 */
export function scanObject(bytes: Buffer, names: readonly string[]): ObjectText | undefined {
  const fields: Field[] = [];
  let start = afterSpace(bytes, 0);
  if (bytes[start] !== 0x7b /* { */) return undefined;
  start = afterSpace(bytes, start + 1);
  let close = start;
  let fieldCount = 0;
  for (let isLast = bytes[start] === 0x7d /* } */; !isLast; fieldCount += 1) {
    const nameEnd = afterString(bytes, start);
    const valueStart = afterColon(bytes, nameEnd);
    const end = afterValue(bytes, valueStart);
    close = afterSpace(bytes, end);
    isLast = bytes[close] === 0x7d; /* } */
    if (!isLast && bytes[close] !== 0x2c /* , */) return undefined;
    const next = isLast ? close : afterSpace(bytes, close + 1);
    const name = nameAmong(names, bytes.subarray(start, nameEnd));
    if (name !== undefined) fields.push({ name, start, nameEnd, valueStart, end, next });
    start = next;
  }
  if (afterSpace(bytes, close + 1) !== bytes.length) return undefined;
  return { bytes, close, fields, fieldCount };
}

/** Each character of a name may be escaped: `\u0061`. */
const longestNameBytes = 128;

function nameAmong(names: readonly string[], text: Buffer): string | undefined {
  if (text.length > longestNameBytes) return undefined;
  const name = JSON.parse(text.toString('utf8')) as string;
  return names.find((each) => each === name);
}

function afterSpace(bytes: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    at += 1;
  }
}

/** @returns the position of the value after a name */
function afterColon(bytes: Buffer, nameEnd: number): number {
  const colon = afterSpace(bytes, nameEnd);
  return bytes[colon] === 0x3a /* : */ ? afterSpace(bytes, colon + 1) : invalid;
}

/** Without recursion: the text decides how deep it would go. */
function afterValue(bytes: Buffer, from: number): number {
  const closers: number[] = [];
  let at = from;
  for (;;) {
    const opener = bytes[at];
    if (opener === 0x7b /* { */ || opener === 0x5b /* [ */) {
      const closer = opener + 2;
      at = afterSpace(bytes, at + 1);
      if (bytes[at] !== closer) {
        closers.push(closer);
        if (closers.length === maxDepth) return invalid;
        at = startOfValue(bytes, at, closer);
        continue;
      }
      at += 1;
    } else {
      at = afterScalar(bytes, at);
    }
    for (;;) {
      const closer = closers.at(-1);
      if (closer === undefined) return at;
      at = afterSpace(bytes, at);
      if (bytes[at] === 0x2c /* , */) {
        at = startOfValue(bytes, afterSpace(bytes, at + 1), closer);
        break;
      }
      if (bytes[at] !== closer) return invalid;
      closers.pop();
      at += 1;
    }
  }
}

/** @param closer of what the value is in: in an object, its name comes first */
const startOfValue = (bytes: Buffer, at: number, closer: number): number =>
  closer === 0x7d /* } */ ? afterColon(bytes, afterString(bytes, at)) : at;

const literals = ['true', 'false', 'null'].map((text) => Buffer.from(text));

function afterScalar(bytes: Buffer, at: number): number {
  if (bytes[at] === 0x22 /* " */) return afterString(bytes, at);
  const literal = literals.find((each) => each[0] === bytes[at]);
  if (literal !== undefined) {
    const end = at + literal.length;
    return literal.equals(bytes.subarray(at, end)) ? end : invalid;
  }
  return afterNumber(bytes, at);
}

function afterNumber(bytes: Buffer, from: number): number {
  const afterDigits = (start: number): number => {
    let at = start;
    while (isDigit(bytes[at])) at += 1;
    return at > start ? at : invalid;
  };
  let at = bytes[from] === 0x2d /* - */ ? from + 1 : from;
  at = bytes[at] === 0x30 /* 0 */ ? at + 1 : afterDigits(at);
  if (bytes[at] === 0x2e /* . */) at = afterDigits(at + 1);
  if (bytes[at] === 0x65 /* e */ || bytes[at] === 0x45 /* E */) {
    const sign = bytes[at + 1];
    at = afterDigits(sign === 0x2b /* + */ || sign === 0x2d /* - */ ? at + 2 : at + 1);
  }
  return at;
}

const isDigit = (byte: number | undefined): boolean =>
  byte !== undefined && byte >= 0x30 && byte <= 0x39;

/** @param from the position of the opening quote */
function afterString(bytes: Buffer, from: number): number {
  if (bytes[from] !== 0x22 /* " */) return invalid;
  for (let at = from + 1; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x22 /* " */) return at + 1;
    if (byte < 0x20) return invalid;
    if (byte !== 0x5c /* \ */) continue;
    at += 1;
    if (bytes[at] === 0x75 /* u */) {
      if (!/^[0-9a-fA-F]{4}$/.test(bytes.toString('latin1', at + 1, at + 5))) return invalid;
      at += 4;
    } else if (!'"\\/bfnrt'.includes(String.fromCharCode(bytes[at] ?? 0))) {
      return invalid;
    }
  }
  return invalid;
}

/**
 * @returns the text of a string in UTF-8, with no copy if there are no escapes in it; undefined for
 *   any other value, and for a string with half of a surrogate pair, which UTF-8 can't encode
 */
export function stringOf({ bytes }: ObjectText, { valueStart, end }: Field): Buffer | undefined {
  if (bytes[valueStart] !== 0x22 /* " */) return undefined;
  const raw = bytes.subarray(valueStart + 1, end - 1);
  if (!raw.includes(0x5c /* \ */)) return raw;
  const text = JSON.parse(bytes.toString('utf8', valueStart, end)) as string;
  return /\p{Surrogate}/u.test(text) ? undefined : Buffer.from(text, 'utf8');
}

/** @returns a JSON string in pieces: its escapes can take six times the memory of the text */
export function* jsonString(utf8: Uint8Array): Generator<string> {
  yield '"';
  for (const text of textPieces(utf8)) yield JSON.stringify(text).slice(1, -1);
  yield '"';
}

/** @returns a JSON string of the bytes in base64, in pieces */
export function* jsonBase64(bytes: Uint8Array): Generator<string> {
  yield '"';
  for (const piece of base64Pieces(bytes)) yield piece.toString('latin1');
  yield '"';
}
