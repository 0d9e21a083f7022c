/**
 * JSON Lines (https://jsonlines.org): one JSON object on each line. The text of a line is kept, and
 * only our field in it is replaced.
 */
import { isUtf8 } from 'node:buffer';

import { type KmsPocError, usageError } from '../errors.ts';
import { asBuffer, type ByteStream } from '../streams/byte-stream.ts';
import { type Field, type ObjectText, scanObject } from './json-text.ts';
import { isUtf16, withoutByteOrderMark } from './text.ts';

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
 *
 * @throws KmsPocError Usage, for UTF-16
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
    if (number === 1 && isUtf16(whole)) throw utf16Batch();
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

const utf16Batch = (): KmsPocError =>
  usageError(
    'This batch is text in UTF-16, not in UTF-8.',
    'PowerShell writes UTF-16 with >: save the file as UTF-8.',
  );

/** Strips the CR of a CRLF, and the byte order mark that some editors put before the first line. */
const withoutFrame = (line: Buffer, isFirst: boolean): Buffer => {
  const text = asBuffer(isFirst ? withoutByteOrderMark(line) : line);
  return text.subarray(0, text.at(-1) === 0x0d ? -1 : undefined);
};

const isBlank = (line: Buffer): boolean => line.every((byte) => byte === 0x20 || byte === 0x09);

/** The fields that mean something in a line. All others pass through. */
const ourFields = ['user', 'message', 'messageBase64', 'ciphertext', 'error'] as const;

export type FieldName = (typeof ourFields)[number];

/** @returns undefined for anything but an object in JSON and UTF-8 */
export const parseObject = (bytes: Buffer): ObjectText | undefined =>
  isUtf8(bytes) ? scanObject(bytes, ourFields) : undefined;

/** @returns all fields with this name, since a name can occur twice */
export const findFields = ({ fields }: ObjectText, name: FieldName): readonly Field[] =>
  fields.filter((field) => field.name === name);

/**
 * @param value JSON, in pieces
 * @returns the object's text in pieces, with one field replaced by another name and value
 */
export function* replaceField(
  { bytes }: ObjectText,
  field: Field,
  name: FieldName,
  value: Iterable<string>,
): Generator<Buffer> {
  yield bytes.subarray(0, field.start);
  yield Buffer.from(JSON.stringify(name));
  yield bytes.subarray(field.nameEnd, field.valueStart);
  for (const piece of value) yield Buffer.from(piece);
  yield bytes.subarray(field.end);
}

/**
 * @param object undefined: one without fields
 * @param value JSON of the added field, in pieces
 * @returns the text of an object in pieces, without the fields that have one of these names, and
 *   with one more
 */
export function* withoutFields(
  object: ObjectText | undefined,
  names: readonly FieldName[],
  added: FieldName,
  value: Iterable<string>,
): Generator<Buffer> {
  const { bytes, fields, fieldCount, close } = object ?? noFields;
  const removed = fields.filter(({ name }) => (names as readonly string[]).includes(name));
  let from = 0;
  for (const { start, next } of removed) {
    yield bytes.subarray(from, start);
    from = next;
  }
  yield bytes.subarray(from, close);
  // A field that was last leaves the comma before it.
  const isCommaMissing = fieldCount > removed.length && removed.at(-1)?.next !== close;
  yield Buffer.from(`${isCommaMissing ? ',' : ''}${JSON.stringify(added)}:`);
  for (const piece of value) yield Buffer.from(piece);
  yield bytes.subarray(close);
}

const noFields: ObjectText = { bytes: Buffer.from('{}'), close: 1, fields: [], fieldCount: 0 };
