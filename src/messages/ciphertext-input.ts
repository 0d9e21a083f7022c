/**
 * A ciphertext as found in the input: bytes, base64 as it really gets pasted, or the JSON that AWS
 * and this program print; and which of the published formats it has.
 */
import { isUtf8 } from 'node:buffer';

import { KmsPocError } from '../errors.ts';
import { decodeBase64 } from '../formats/base64.ts';
import {
  type CiphertextFormat,
  formatOf,
  formatPrefixBytes,
} from '../formats/ciphertext-format.ts';
import { scanObject, stringOf } from '../formats/json-text.ts';
import { isUtf16, withoutByteOrderMark } from '../formats/text.ts';
import { asBuffer, type ByteStream, collect, peek, streamOf } from '../streams/byte-stream.ts';

export interface FoundCiphertext {
  readonly format: CiphertextFormat;
  readonly ciphertext: ByteStream;
}

/**
 * @param input bytes, base64 or JSON
 * @throws KmsPocError NotCiphertext
 */
export async function findCiphertext(
  input: ByteStream,
): Promise<FoundCiphertext & { readonly cameAsBytes: boolean }> {
  const { bytes, cameAsBytes } = await decodeCiphertext(input);
  return { ...(await identify(bytes)), cameAsBytes };
}

/** @throws KmsPocError NotCiphertext */
export async function identify(bytes: ByteStream): Promise<FoundCiphertext> {
  const { start, whole } = await peek(bytes, formatPrefixBytes);
  if (start.length === 0) {
    throw new KmsPocError(
      'NotCiphertext',
      'There is no encrypted message: the input is empty.',
      'Copy all of it, exactly as kms-encrypt printed it.',
    );
  }
  const format = formatOf(start);
  if (format === undefined) {
    throw new KmsPocError(
      'NotCiphertext',
      'This is not an encrypted message, or its beginning is damaged.',
      'Copy all of it, exactly as kms-encrypt printed it.',
    );
  }
  return { format, ciphertext: whole };
}

/**
 * Tells bytes, base64 and JSON apart by how they begin. An empty input gives no bytes.
 *
 * @throws KmsPocError NotCiphertext, also while the bytes are read
 */
export async function decodeCiphertext(
  input: ByteStream,
): Promise<{ readonly bytes: ByteStream; readonly cameAsBytes: boolean }> {
  const { start, whole } = await peek(input, 512);
  if (isUtf16(start)) {
    throw new KmsPocError(
      'NotCiphertext',
      'This is text in UTF-16, not an encrypted message.',
      'PowerShell writes UTF-16 with >: save it as UTF-8 or ASCII, or use --out FILE when encrypting.',
    );
  }
  if (!isText(start)) return { bytes: whole, cameAsBytes: true };
  const isJson = /^\s*\{/.test(asBuffer(withoutByteOrderMark(start)).toString('latin1'));
  const base64 = isJson ? streamOf(await ciphertextInJson(whole)) : whole;
  return { bytes: decodeBase64(base64), cameAsBytes: false };
}

/**
 * Raw ciphertext contains bytes that text never has. A curly quote is text, and refused by name
 * later.
 */
function isText(start: Uint8Array): boolean {
  try {
    // As a stream, because its last character may be incomplete.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(start, { stream: true });
    return !/[\0-\x08\x0e-\x1f\x7f-\x9f]/.test(text);
  } catch {
    return false;
  }
}

/** JSON is collected whole; base64 and bytes are not. kms-encrypt --json writes at most 64 MiB. */
const maxJsonBytes = 65 * 2 ** 20;

/**
 * `aws kms encrypt` prints `{"CiphertextBlob": …}`, `kms-encrypt --json` prints
 * `{"ciphertext": …}`.
 */
async function ciphertextInJson(input: ByteStream): Promise<Uint8Array> {
  const { bytes } = await collect(input, maxJsonBytes);
  if (bytes === undefined) throw notInJson('it starts like JSON and is longer than 65 MiB');
  const json = asBuffer(withoutByteOrderMark(bytes));
  const object = isUtf8(json) ? scanObject(json, names) : undefined;
  if (object === undefined) {
    if (isBatch(json)) {
      throw new KmsPocError(
        'NotCiphertext',
        'This is a batch, with one message per line.',
        'Use --batch.',
      );
    }
    throw notInJson('it starts like JSON but is not valid JSON');
  }
  const { fields } = object;
  const field = names
    .map((name) => fields.findLast((each) => each.name === name))
    .find((each) => each !== undefined);
  const found = field && stringOf(object, field);
  if (found === undefined) {
    throw notInJson('it is JSON without a CiphertextBlob or ciphertext field');
  }
  return found;
}

const names = ['CiphertextBlob', 'ciphertext'] as const;

/** Whether something that is no object as a whole begins with a line that is one. */
const isBatch = (text: Buffer): boolean =>
  scanObject(text.subarray(0, Math.max(0, text.indexOf(0x0a))), []) !== undefined;

const notInJson = (why: string): KmsPocError =>
  new KmsPocError(
    'NotCiphertext',
    `This is not an encrypted message: ${why}.`,
    'Copy all of it, exactly as kms-encrypt printed it.',
  );
