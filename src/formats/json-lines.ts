/**
 * JSON Lines (https://jsonlines.org): one JSON object on each line. Fields that aren't ours are
 * never parsed into values and printed again: that would round large numbers, drop one of two
 * fields with the same name, and move fields with numeric names to the front. Instead the text of
 * the line is kept, and only our field in it is replaced.
 */
import { isUtf8 } from 'node:buffer';
import { asBuffer, type ByteStream } from '../streams/byte-stream.ts';

export interface Line {
  /** Counted from 1, including empty lines. */
  readonly number: number;
  /** Without the line break. Undefined if the line exceeds the limit and was not kept. */
  readonly bytes: Buffer | undefined;
}

const lineFeed = 0x0a;

/**
 * Splits a stream into lines, in constant memory. A line ends with LF or CRLF, which is optional
 * after the last one. Lines with nothing but spaces and tabs are skipped.
 */
export async function* readLines(input: ByteStream, maxLineBytes: number): AsyncGenerator<Line> {
  let number = 0;
  let parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): void => {
    length += part.length;
    // The rest of a line that is too long is read to find its end, but not kept.
    if (length <= maxLineBytes) parts.push(part);
    else parts = [];
  };
  const end = (): Line | undefined => {
    number += 1;
    const whole = length > maxLineBytes ? undefined : Buffer.concat(parts);
    parts = [];
    length = 0;
    if (whole === undefined) return { number, bytes: undefined };
    const bytes = withoutFrame(whole, number === 1);
    return isBlank(bytes) ? undefined : { number, bytes };
  };

  for await (const chunk of input) {
    const bytes = asBuffer(chunk);
    let start = 0;
    for (;;) {
      const found = bytes.indexOf(lineFeed, start);
      if (found < 0) break;
      take(bytes.subarray(start, found));
      start = found + 1;
      const line = end();
      if (line !== undefined) yield line;
    }
    take(bytes.subarray(start));
  }
  const line = end();
  if (line !== undefined) yield line;
}

/** Strips the CR of a CRLF, and the byte order mark that some editors put before the first line. */
const withoutFrame = (line: Buffer, isFirst: boolean): Buffer => {
  const start = isFirst && line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? 3 : 0;
  return line.subarray(start, line.at(-1) === 0x0d ? -1 : undefined);
};

const isBlank = (line: Buffer): boolean => line.every((byte) => byte === 0x20 || byte === 0x09);

/** One field of an object, and its position in the object's text. */
export interface Field {
  readonly name: string;
  /** Start of the name, including its quotes. */
  readonly start: number;
  readonly nameEnd: number;
  /** Start of the value. */
  readonly valueStart: number;
  readonly end: number;
}

export interface ObjectText {
  readonly text: string;
  /** In order; two may have the same name. */
  readonly fields: readonly Field[];
  readonly value: Readonly<Record<string, unknown>>;
}

/** @returns undefined for anything but an object in JSON and UTF-8 */
export function parseObject(bytes: Buffer): ObjectText | undefined {
  if (!isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // its message would quote the text, which may be a secret
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return { text, fields: scanFields(text), value: value as Record<string, unknown> };
}

/** @param text known to be a valid JSON object */
function scanFields(text: string): Field[] {
  const fields: Field[] = [];
  let position = text.indexOf('{') + 1;
  for (;;) {
    const start = skipSpace(text, position);
    if (text[start] === '}') return fields;
    const nameEnd = endOfString(text, start);
    const valueStart = skipSpace(text, text.indexOf(':', nameEnd) + 1);
    const end = endOfValue(text, valueStart);
    const name = JSON.parse(text.slice(start, nameEnd)) as string;
    fields.push({ name, start, nameEnd, valueStart, end });
    position = skipSpace(text, end);
    if (text[position] === ',') position += 1;
  }
}

function skipSpace(text: string, from: number): number {
  let position = from;
  while (text.charCodeAt(position) <= 0x20) position += 1;
  return position;
}

/** @param from the position of the opening quote */
function endOfString(text: string, from: number): number {
  let quote = from;
  for (;;) {
    quote = text.indexOf('"', quote + 1);
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
}

function endOfValue(text: string, from: number): number {
  let depth = 0;
  let position = from;
  do {
    const character = text[position];
    if (character === '"') {
      position = endOfString(text, position);
      continue;
    }
    if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    position += 1;
  } while (depth > 0 || !isBehindValue(text, position));
  return position;
}

/** Whether the value of an object's field ends here. */
const isBehindValue = (text: string, position: number): boolean =>
  text[position] === ',' || text[position] === '}' || text.charCodeAt(position) <= 0x20;

/** @returns all fields with this name, since a name can occur twice */
export const findFields = ({ fields }: ObjectText, name: string): readonly Field[] =>
  fields.filter((field) => field.name === name);

/** @returns the object's text, with one field replaced by another name and value */
export function replaceField(
  { text }: ObjectText,
  field: Field,
  name: string,
  value: string,
): string {
  const before = text.slice(0, field.start);
  const between = text.slice(field.nameEnd, field.valueStart);
  return before + JSON.stringify(name) + between + JSON.stringify(value) + text.slice(field.end);
}

/** @returns the text of an object with the fields that have none of these names, and one more */
export function withoutFields(
  object: ObjectText | undefined,
  names: readonly string[],
  added: { readonly name: string; readonly value: unknown },
): string {
  const kept = (object?.fields ?? []).filter(({ name }) => !names.includes(name));
  const texts = kept.map(({ start, end }) => object?.text.slice(start, end));
  return `{${[...texts, `${JSON.stringify(added.name)}:${JSON.stringify(added.value)}`].join(',')}}`;
}
