/**
 * JSON Lines (https://jsonlines.org): one JSON object on each line. What isn't ours in an object
 * is never parsed into values and printed again, which would round its large numbers, drop one of
 * two fields of the same name and put fields with numbers for names first: the line's own text is
 * kept, and only our field in it replaced.
 */
import { isUtf8 } from 'node:buffer';
import { asBuffer, type ByteStream } from '../streams/byte-stream.ts';

export interface Line {
  /** From 1; empty lines count. */
  readonly number: number;
  /** Without the line break. Undefined: it is longer than the limit, and was not kept. */
  readonly bytes: Buffer | undefined;
}

const lineFeed = 0x0a;

/**
 * Splits a stream into lines, in constant memory: LF or CRLF ends a line, the last one may go
 * without. Lines without anything but spaces and tabs are left out.
 */
export async function* readLines(input: ByteStream, maxLineBytes: number): AsyncGenerator<Line> {
  let number = 0;
  let parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): void => {
    length += part.length;
    // The rest of a line that is too long is read, to find its end, and not kept.
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

/** Without the CR of a CRLF, and the mark that some editors put before the first line. */
const withoutFrame = (line: Buffer, isFirst: boolean): Buffer => {
  const start = isFirst && line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf ? 3 : 0;
  return line.subarray(start, line.at(-1) === 0x0d ? -1 : undefined);
};

const isBlank = (line: Buffer): boolean => line.every((byte) => byte === 0x20 || byte === 0x09);

/** One field of an object: where it stands in the object's text. */
export interface Field {
  readonly name: string;
  /** The name, quotes included. */
  readonly start: number;
  readonly nameEnd: number;
  /** The value. */
  readonly valueStart: number;
  readonly end: number;
}

export interface ObjectText {
  readonly text: string;
  /** In their order; two may have the same name. */
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
    return undefined; // its words would quote the text, which may be a secret
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return { text, fields: scanFields(text), value: value as Record<string, unknown> };
}

/** @param text known to be an object in valid JSON */
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

/** @param from where its first quote stands */
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

/** Whether the text goes on here with what ends a value of an object's field. */
const isBehindValue = (text: string, position: number): boolean =>
  text[position] === ',' || text[position] === '}' || text.charCodeAt(position) <= 0x20;

/** @returns all fields of this name: a name can stand there twice */
export const findFields = ({ fields }: ObjectText, name: string): readonly Field[] =>
  fields.filter((field) => field.name === name);

/** @returns the object's text, with another name and value in one field's place */
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

/** @returns the text of an object: the fields that have none of these names, and one more */
export function withoutFields(
  object: ObjectText | undefined,
  names: readonly string[],
  added: { readonly name: string; readonly value: unknown },
): string {
  const kept = (object?.fields ?? []).filter(({ name }) => !names.includes(name));
  const texts = kept.map(({ start, end }) => object?.text.slice(start, end));
  return `{${[...texts, `${JSON.stringify(added.name)}:${JSON.stringify(added.value)}`].join(',')}}`;
}
