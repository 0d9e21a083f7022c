/** Text files as people have them: with a byte order mark, or in UTF-16, as PowerShell writes. */
import { isUtf8 } from 'node:buffer';

import { asBuffer } from '../streams/byte-stream.ts';

/** By the mark at its start. No ciphertext has these bytes there. */
export const isUtf16 = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);

/** By the zeros between its letters, if they are ASCII as those of base64 are. */
export const isUnmarkedUtf16 = (start: Uint8Array): boolean =>
  /^(?:[\t\n\r\x20-\x7e]\0){8}|^(?:\0[\t\n\r\x20-\x7e]){8}/.test(
    asBuffer(start).toString('latin1', 0, 16),
  );

/** Without the mark that some editors put before the first character of a file in UTF-8. */
export const withoutByteOrderMark = (bytes: Uint8Array): Uint8Array =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;

/**
 * Whether bytes can be the start of a text. What is encrypted contains bytes that text never has,
 * and mostly begins with one: the version of its format.
 */
export function isText(start: Uint8Array): boolean {
  try {
    // As a stream, because its last character may be incomplete.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(start, { stream: true });
    if (!/[\0-\x08\x0e-\x1f\x7f-\x9f]/.test(text)) return true;
  } catch {
    // Not UTF-8.
  }
  // A text in another encoding, with colours or with a damaged character is a text all the same. Of
  // random bytes, four in ten could be in one.
  const isMessage = start[0] === 1 || start[0] === 2;
  return !isMessage && start.filter(isAscii).length >= 0.9 * start.length;
}

const isAscii = (byte: number): boolean =>
  (byte >= 0x20 && byte < 0x7f) || (byte >= 0x09 && byte <= 0x0d);

/**
 * @param bytes a whole file; overwritten if it is converted, since it may be a secret
 * @returns the same text in UTF-8, without a mark; undefined if it is no text in UTF-8, or in UTF-16
 *   with its mark
 */
export function toUtf8(bytes: Buffer): Buffer | undefined {
  if (!isUtf16(bytes)) {
    // UTF-16 without a mark is full of these.
    if (bytes.includes(0) || !isUtf8(bytes)) return undefined;
    return withoutByteOrderMark(bytes) as Buffer;
  }
  if (bytes.length % 2 !== 0) return undefined;
  if (bytes[0] === 0xfe) bytes.swap16();
  const text = Buffer.from(bytes.subarray(2).toString('utf16le'), 'utf8');
  bytes.fill(0);
  return text;
}

/** Bytes that are decoded at a time. */
const pieceBytes = 2 ** 16;

/** @returns a text in pieces of whole characters: as one string it can take twice its memory */
export function* textPieces(utf8: Uint8Array): Generator<string> {
  const bytes = asBuffer(utf8);
  for (let start = 0, end = 0; start < bytes.length; start = end) {
    end = Math.min(start + pieceBytes, bytes.length);
    // The second to fourth byte of a character.
    while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
    yield bytes.toString('utf8', start, end);
  }
}
