/** Encodes and decodes base64 in constant memory. */
import { KmsPocError } from '../errors.ts';
import { asBuffer, type ByteStream } from '../streams/byte-stream.ts';
import { minKmsBytes } from './ciphertext-format.ts';
import { withoutByteOrderMark } from './text.ts';

/**
 * Bytes that are encoded at a time, a multiple of three. With twice as many, each string would get
 * its own memory mapping, which takes twice as long.
 */
const pieceBytes = 3 * 2 ** 14;

/** Characters that are decoded at a time, for the same reason. */
const pieceCharacters = 2 ** 16;

/** Base64 on one line, without a line break at the end. */
export async function* encodeBase64(bytes: ByteStream): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of bytes) {
    // This copies only the few bytes at the edge, never the chunk.
    const head = rest.length === 0 ? 0 : Math.min(3 - rest.length, chunk.length);
    const edge = Buffer.concat([rest, chunk.subarray(0, head)]);
    const whole = chunk.length - ((chunk.length - head) % 3);
    if (edge.length === 3) yield base64Bytes(edge);
    yield* base64Pieces(chunk.subarray(head, whole));
    rest = edge.length % 3 === 0 ? chunk.subarray(whole) : edge;
  }
  if (rest.length > 0) yield base64Bytes(rest);
}

/** @returns the base64 of all bytes, with padding, in pieces */
export function* base64Pieces(bytes: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    yield base64Bytes(bytes.subarray(at, at + pieceBytes));
  }
}

const base64Bytes = (bytes: Uint8Array): Buffer =>
  Buffer.from(asBuffer(bytes).toString('base64'), 'latin1');

/**
 * In pieces, or it would take up three more times the memory.
 *
 * @returns undefined for anything but base64 as it is written here: on one line, with padding
 */
export function exactBase64(text: Buffer): Buffer | undefined {
  if (text.length % 4 !== 0 || text.includes('-') || text.includes('_')) return undefined;
  const last = text.toString('latin1', Math.max(0, text.length - 4));
  const padding = last.endsWith('==') ? 2 : last.endsWith('=') ? 1 : 0;
  const bytes = Buffer.alloc((text.length / 4) * 3 - padding);
  let length = 0;
  for (let at = 0; at < text.length; at += pieceCharacters) {
    length += bytes.write(text.toString('latin1', at, at + pieceCharacters), length, 'base64');
  }
  const isWhole = length === bytes.length && (padding === 0 || isCanonical(last, bytes));
  return isWhole ? bytes : undefined;
}

/** The last letter before padding has unused bits: nothing else would give the same bytes. */
const isCanonical = (last: string, bytes: Buffer): boolean =>
  bytes.subarray(Math.floor((bytes.length - 1) / 3) * 3).toString('base64') === last;

/** Characters that people paste along with base64: spaces, line breaks, quotes. */
const pastedAlong = /[\s"'`]+/g;

/**
 * Linux cuts off a line at this length when it is pasted into a terminal in line mode. What
 * kms-encrypt prints never has this length: padded base64 comes in groups of four.
 */
const cutPasteCharacters = 4095;

/** No ciphertext is shorter: this is something else, or the start of one. */
const minCharacters = (minKmsBytes / 3) * 4;

/**
 * Decodes base64 strictly, but the way people paste it: wrapped, quoted, with URL-safe letters or
 * without padding. (`Buffer.from(text, 'base64')` drops whatever it doesn't recognize, and with it
 * the reason why a message can't be decrypted.)
 *
 * @throws KmsPocError NotCiphertext, for anything that can't be base64
 */
export async function* decodeBase64(text: ByteStream): AsyncGenerator<Uint8Array> {
  /** Letters and padding read so far. */
  let characters = 0;
  let decoded = 0;
  let rest = '';
  for await (const chunk of inSmallPieces(text)) {
    const isFirst = characters === 0;
    const piece = asBuffer(isFirst ? withoutByteOrderMark(chunk) : chunk).toString('latin1');
    let letters = rest + piece;
    let whole = wholeQuartets(letters);
    let bytes = decodeQuartets(letters, whole);
    if (bytes === undefined || letters.slice(whole).search(pastedAlong) >= 0) {
      // Not one line of letters: this takes three times as long.
      letters = rest + piece.replaceAll(pastedAlong, '');
      whole = wholeQuartets(letters);
      bytes = decodeQuartets(letters, whole);
      if (bytes === undefined) throw strange(letters.slice(0, whole), decoded);
    }
    characters += letters.length - rest.length;
    rest = letters.slice(whole).replaceAll('-', '+').replaceAll('_', '/');
    if (bytes.length > 0) yield bytes;
    decoded += whole;
  }
  yield* decodeLast(rest, characters);
}

/** One read from a file can be larger than what is decoded at a time. */
async function* inSmallPieces(text: ByteStream): AsyncGenerator<Uint8Array> {
  for await (const chunk of text) {
    for (let at = 0; at < chunk.length; at += pieceCharacters) {
      yield chunk.subarray(at, at + pieceCharacters);
    }
  }
}

/** The end is held back: only there can there be padding, or fewer than four letters. */
const wholeQuartets = ({ length }: string): number => Math.max(0, length - 1 - ((length - 1) % 4));

/** @returns undefined if there is anything but letters among the first `count`, a multiple of four */
function decodeQuartets(text: string, count: number): Buffer | undefined {
  const bytes = Buffer.from(text.slice(0, count), 'base64');
  // Anything that is not a letter is skipped, or ends it. So all that were letters only if it is as long.
  return bytes.length === (count / 4) * 3 ? bytes : undefined;
}

/**
 * @param rest one to four letters, including padding; empty for an empty text
 * @param characters how many were read in all
 */
function* decodeLast(rest: string, characters: number): Generator<Uint8Array> {
  const letters = rest.replace(/=+$/, '');
  const padding = rest.length - letters.length;
  if (/[^A-Za-z0-9+/]/.test(letters)) throw strange(letters, characters - rest.length);
  if (characters === cutPasteCharacters) {
    throw new KmsPocError(
      'NotCiphertext',
      `This message is incomplete: it has ${characters} characters, which is where a terminal cuts off a pasted line.`,
      'Paste it at the prompt of kms-decrypt, or save it to a file and use --in FILE.',
    );
  }
  const bytes = Buffer.from(letters, 'base64');
  const missing = (4 - (letters.length % 4)) % 4;
  const isCut =
    missing === 3 ||
    (padding > 0 && padding !== missing) ||
    // The last letter has unused bits, which are 0 unless something after it is missing.
    bytes.toString('base64').replace(/=+$/, '') !== letters;
  if (isCut) {
    throw new KmsPocError(
      'NotCiphertext',
      characters < minCharacters
        ? `This is too short to be an encrypted message: ${characters} characters of base64.`
        : `This message is incomplete: its base64 ends early, after ${characters} characters.`,
      'Copy all of it, exactly as kms-encrypt printed it.',
    );
  }
  if (bytes.length > 0) yield bytes;
}

/** @param before how many characters came before these */
function strange(letters: string, before: number): KmsPocError {
  const position = letters.search(/[^A-Za-z0-9+/_-]/);
  const sign = letters.charAt(position);
  const isPrintable = sign > ' ' && sign < '\x7f';
  const name = isPrintable ? sign : `byte 0x${Buffer.from(sign, 'latin1').toString('hex')}`;
  return new KmsPocError(
    'NotCiphertext',
    sign === '='
      ? 'This is not an encrypted message: there is more base64 after the closing =.'
      : `This is not an encrypted message: unexpected ${name} after ${before + position} characters of base64.`,
    'Copy all of it, exactly as kms-encrypt printed it.',
  );
}
