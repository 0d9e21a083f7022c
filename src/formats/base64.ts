/**
 * Ciphertext as people handle it: base64 on one line when it is written; when it is read, base64
 * as it really gets pasted, the JSON that AWS and this program print, or plain bytes.
 */
import { KmsPocError } from '../errors.ts';
import { asBuffer, type ByteStream, peek, streamOf } from '../streams/byte-stream.ts';

/**
 * Bytes that are encoded at once, a multiple of three. Of twice as many, each string would be a
 * mapping of memory of its own, which takes twice the time.
 */
const pieceBytes = 3 * 2 ** 14;

/** Characters that are decoded at once, for the same reason. */
const pieceCharacters = 2 ** 16;

/** Base64 on one line, without a line break at the end. Constant memory. */
export async function* encodeBase64(bytes: ByteStream): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of bytes) {
    // A copy of the few bytes at the edge, never of the chunk.
    const head = rest.length === 0 ? 0 : Math.min(3 - rest.length, chunk.length);
    const edge = Buffer.concat([rest, chunk.subarray(0, head)]);
    const whole = chunk.length - ((chunk.length - head) % 3);
    if (edge.length === 3) yield base64Bytes(edge);
    for (let at = head; at < whole; at += pieceBytes) {
      yield base64Bytes(chunk.subarray(at, Math.min(at + pieceBytes, whole)));
    }
    rest = edge.length % 3 === 0 ? chunk.subarray(whole) : edge;
  }
  if (rest.length > 0) yield base64Bytes(rest);
}

const base64Bytes = (bytes: Uint8Array): Buffer =>
  Buffer.from(asBuffer(bytes).toString('base64'), 'latin1');

/** What was read, for the words of an error. */
export interface CiphertextSource {
  readonly bytes: ByteStream;
  /** Characters of base64 read so far; undefined for plain bytes. */
  readonly base64Characters: () => number | undefined;
}

/** JSON is collected whole; base64 and bytes are not. */
const maxJsonBytes = 64 * 2 ** 20;

/** Tells bytes, base64 and JSON apart by how they begin. An empty input gives no bytes. */
export async function readCiphertext(input: ByteStream): Promise<CiphertextSource> {
  const { start, whole } = await peek(input, 512);
  if (isUtf16(start)) {
    throw new KmsPocError(
      'NotCiphertext',
      'This is text in UTF-16, not an encrypted message.',
      'PowerShell writes that with >: save it as UTF-8 or ASCII, or use --out FILE when encrypting.',
    );
  }
  if (!isText(start)) return { bytes: whole, base64Characters: () => undefined };
  const isJson = /^\s*\{/.test(latin1(withoutByteOrderMark(start)));
  const decoder = new Base64Decoder();
  return {
    bytes: decoder.decode(isJson ? streamOf(await ciphertextInJson(whole)) : whole),
    base64Characters: () => decoder.characters,
  };
}

/** By the mark at its beginning. No ciphertext begins like that: KMS blobs begin with 01. */
const isUtf16 = ([first, second]: Uint8Array): boolean =>
  (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);

/** A ciphertext in bytes has some that no text has. A curly quote is text, to be refused by name. */
function isText(start: Uint8Array): boolean {
  try {
    // As a stream: its last character may be cut.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(start, { stream: true });
    return !/[\0-\x08\x0e-\x1f\x7f]/.test(text);
  } catch {
    return false;
  }
}

const withoutByteOrderMark = (bytes: Uint8Array): Uint8Array =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;

const latin1 = (bytes: Uint8Array): string => asBuffer(bytes).toString('latin1');

/**
 * `aws kms encrypt` prints `{"CiphertextBlob": …}`, `kms-encrypt --json` prints
 * `{"ciphertext": …}`.
 */
async function ciphertextInJson(input: ByteStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of input) {
    length += chunk.length;
    if (length > maxJsonBytes) {
      throw notCiphertext('it begins as JSON does, and is longer than 64 MiB');
    }
    chunks.push(chunk);
  }
  const joined = Buffer.concat(chunks);
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(withoutByteOrderMark(joined)).toString('utf8'));
  } catch (cause) {
    if (isJsonLines(joined)) {
      throw new KmsPocError(
        'NotCiphertext',
        'This is a batch, with a message on each line.',
        'Use --batch for it.',
      );
    }
    throw notCiphertext('it begins as JSON does, but is not whole', { cause });
  }
  const { CiphertextBlob, ciphertext } = parsed as Record<string, unknown>;
  const found = CiphertextBlob ?? ciphertext;
  if (typeof found !== 'string') {
    throw notCiphertext('it is JSON without the field CiphertextBlob or ciphertext');
  }
  return Buffer.from(found, 'utf8');
}

/** Whether what is no JSON as a whole begins with a line that is. */
function isJsonLines(text: Buffer): boolean {
  try {
    JSON.parse(text.subarray(0, Math.max(0, text.indexOf(0x0a))).toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

const notCiphertext = (why: string, options?: ErrorOptions): KmsPocError =>
  new KmsPocError(
    'NotCiphertext',
    `This is not an encrypted message: ${why}.`,
    'Copy all of it, as kms-encrypt printed it.',
    options,
  );

/** Signs around base64 that people paste with it: spaces, line breaks, quotes. */
const pastedAlong = /[\s"'`]+/g;

/** A read of a file can be larger than what is decoded at once. */
async function* inSmallPieces(text: ByteStream): AsyncGenerator<Uint8Array> {
  for await (const chunk of text) {
    for (let at = 0; at < chunk.length; at += pieceCharacters) {
      yield chunk.subarray(at, at + pieceCharacters);
    }
  }
}

/**
 * Decodes base64 strictly: `Buffer.from(text, 'base64')` drops what it doesn't know, and with it
 * the reason why a message can't be decrypted.
 */
class Base64Decoder {
  /** Letters and padding read so far. */
  characters = 0;
  #decoded = 0;

  async *decode(text: ByteStream): AsyncGenerator<Uint8Array> {
    let rest = '';
    for await (const chunk of inSmallPieces(text)) {
      const isFirst = this.characters === 0;
      const clean = latin1(isFirst ? withoutByteOrderMark(chunk) : chunk)
        .replace(pastedAlong, '')
        .replaceAll('-', '+')
        .replaceAll('_', '/');
      this.characters += clean.length;
      const letters = rest + clean;
      // The end is kept back: only there is padding, and less than four letters at a time.
      const whole = Math.max(0, letters.length - 1 - ((letters.length - 1) % 4));
      rest = letters.slice(whole);
      if (whole > 0) yield this.#quartets(letters.slice(0, whole));
    }
    yield* this.#last(rest);
  }

  #quartets(letters: string): Buffer {
    const bytes = Buffer.from(letters, 'base64');
    // Encoding again is by far the fastest way to see that all of it was base64.
    if (bytes.toString('base64') !== letters || letters.includes('=')) throw this.#strange(letters);
    this.#decoded += letters.length;
    return bytes;
  }

  /** One to four letters, padding among them; none of an empty text. */
  *#last(rest: string): Generator<Uint8Array> {
    const letters = rest.replace(/=+$/, '');
    const padding = rest.length - letters.length;
    if (/[^A-Za-z0-9+/]/.test(letters)) throw this.#strange(letters);
    const bytes = Buffer.from(letters, 'base64');
    const missing = (4 - (letters.length % 4)) % 4;
    const isCut =
      missing === 3 ||
      (padding > 0 && padding !== missing) ||
      // The last letter has bits that no byte takes: they are 0, unless something behind is gone.
      bytes.toString('base64').replace(/=+$/, '') !== letters;
    if (isCut) {
      throw new KmsPocError(
        'NotCiphertext',
        `This message is not complete: its base64 breaks off after ${this.characters} characters.`,
        'Copy all of it, as kms-encrypt printed it.',
      );
    }
    if (bytes.length > 0) yield bytes;
  }

  #strange(letters: string): KmsPocError {
    const position = letters.search(/[^A-Za-z0-9+/]/);
    const sign = letters.charAt(position);
    if (sign === '=') return notCiphertext('its base64 goes on behind the = at its end');
    const isPrintable = sign > ' ' && sign < '\x7f';
    const name = isPrintable ? sign : `byte 0x${Buffer.from(sign, 'latin1').toString('hex')}`;
    return notCiphertext(
      `base64 has no place for ${name}, found behind ${this.#decoded + position} characters`,
    );
  }
}
