/**
 * A ciphertext as it really gets pasted: as bytes, as base64 with what stood around it, or in the
 * JSON that AWS and this program print.
 */
import { isUtf8 } from 'node:buffer';

import { KmsPocError } from '../errors.ts';
import { decodeBase64 } from '../formats/base64.ts';
import { isEnvelope } from '../formats/ciphertext-format.ts';
import { scanObject, stringOf } from '../formats/json-text.ts';
import { isText, isUnmarkedUtf16, isUtf16 } from '../formats/text.ts';
import { asBuffer, type ByteStream, collect, peek, streamOf } from '../streams/byte-stream.ts';

/** How much is looked at to tell what it is: no more, even if more comes at once. */
const startBytes = 512;

/**
 * Tells bytes, base64 and JSON apart by how they begin. An empty input gives no bytes.
 *
 * @throws KmsPocError NotCiphertext, also while the bytes are read
 */
export async function decodeCiphertext(
  input: ByteStream,
): Promise<{ readonly bytes: ByteStream; readonly cameAsBytes: boolean }> {
  const { start: read, whole } = await peek(input, startBytes);
  const start = read.subarray(0, startBytes);
  if (isUtf16(start) || isUnmarkedUtf16(start)) {
    throw new KmsPocError(
      'NotCiphertext',
      'This is text in UTF-16, not an encrypted message.',
      'PowerShell writes UTF-16 with >: save it as UTF-8 or ASCII, or use --out FILE when encrypting.',
    );
  }
  if (!isText(start)) return { bytes: whole, cameAsBytes: true };
  return { bytes: await decodeText(start, whole), cameAsBytes: false };
}

async function decodeText(start: Uint8Array, whole: ByteStream): Promise<ByteStream> {
  const text = asBuffer(start).toString('latin1');
  const before = printedBefore.exec(text)?.[0] ?? '';
  const rest = text.slice(before.length);
  const withoutBefore = withoutStart(whole, before.length);
  if (/^\s*\{/.test(rest)) return decodeBase64(streamOf(await ciphertextInJson(withoutBefore)));
  if (/^\s*(?:0x)?[\dA-Fa-f]{16}[\dA-Fa-f\s]*$/.test(rest)) {
    throw new KmsPocError(
      'NotCiphertext',
      'This is hexadecimal, and an encrypted message is base64 or bytes.',
      'Turn it into bytes first, for example with xxd -r -p.',
    );
  }
  // The label may have taken the mark before the first line.
  const isQuoted = /^\s*>|\n\s*>/.test(rest);
  const decoded = decodeBase64(isQuoted ? withoutQuoteMarks(withoutBefore) : withoutBefore);
  // Base64 of base64, as in a Kubernetes secret made of what kms-encrypt printed.
  const { start: inner, whole: bytes } = await peek(decoded, startBytes);
  const innerText = asBuffer(inner).toString('latin1', 0, startBytes);
  if (/^[\w+/=\s-]{80,}$/.test(innerText)) return decodeBase64(bytes);
  if (!isEnvelope(inner) && isProse(rest)) {
    throw new KmsPocError(
      'NotCiphertext',
      'This is not an encrypted message: it has spaces as between words.',
      'Copy all of it, exactly as kms-encrypt printed it.',
    );
  }
  return bytes;
}

/**
 * Words of letters alone can pass for base64, and what comes of them for a blob of KMS. But base64 is
 * broken into lines of one length, longer than words, except for what is left at its ends.
 */
function isProse(text: string): boolean {
  const words = text
    .replaceAll(/[>"'`]/g, '')
    .trim()
    .split(/\s+/);
  const lengths = words.slice(1, -1).map(({ length }) => length);
  return lengths.some((length) => length < minLine || length !== lengths[0]);
}

const minLine = 16;

/**
 * What stands before a ciphertext that was copied from the terminal, or went into a file with it: a
 * byte order mark, npm's two lines about a script, the label that kms-encrypt prints, the b of
 * Python's bytes. A mail program may have put > before each line.
 */
const printedBefore =
  /^(?:\xef\xbb\xbf)?(?:[\s>]*> \S+@\S+ \S+\s*\n[\s>]*> [^\n]*\n)?(?:[\s>]*Your encrypted message:)?(?:\s*b(?=["']))?/;

async function* withoutStart(stream: ByteStream, length: number): AsyncGenerator<Uint8Array> {
  let left = length;
  for await (const chunk of stream) {
    yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}

async function* withoutQuoteMarks(text: ByteStream): AsyncGenerator<Uint8Array> {
  for await (const chunk of text) yield chunk.filter((byte) => byte !== 0x3e /* > */);
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
  const json = asBuffer(bytes);
  const object = isUtf8(json) ? scanObject(json, names) : undefined;
  if (object === undefined) {
    if (isBatch(json)) {
      throw new KmsPocError(
        'NotCiphertext',
        'This is a batch, with one message per line.',
        'Use --batch. (--inspect takes one message.)',
      );
    }
    throw notInJson('it starts like JSON but is not valid JSON');
  }
  const { fields } = object;
  const field = names
    .map((name) => fields.findLast((each) => each.name === name))
    .find((each) => each !== undefined);
  const found = field && stringOf(object, field);
  if (found !== undefined) return found;
  if (/"type"\s*:\s*"Buffer"/.test(json.toString('latin1', 0, startBytes))) {
    throw new KmsPocError(
      'NotCiphertext',
      'This is a Buffer of Node.js as JSON, not an encrypted message.',
      "Write the ciphertext as base64: Buffer.from(ciphertext).toString('base64').",
    );
  }
  throw notInJson('it is JSON without a CiphertextBlob or ciphertext field');
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
