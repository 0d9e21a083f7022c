/** A ciphertext as it was found in the input: which of the published formats it has. */
import { exitStatus, KmsPocError } from '../errors.ts';
import { readCiphertext } from '../formats/base64.ts';
import { type ByteStream, peek } from '../streams/byte-stream.ts';
import {
  type CiphertextFormat,
  formatOf,
  formatPrefixBytes,
} from '../formats/ciphertext-format.ts';

export interface FoundCiphertext {
  readonly format: CiphertextFormat;
  /** Bytes, whatever they came as. */
  readonly ciphertext: ByteStream;
  /** Characters of base64 read so far; undefined where it came as bytes. */
  readonly base64Characters: () => number | undefined;
}

/**
 * @param input bytes, base64 or JSON
 * @throws KmsPocError NotCiphertext
 */
export async function findCiphertext(input: ByteStream): Promise<FoundCiphertext> {
  const { bytes, base64Characters } = await readCiphertext(input);
  try {
    const { start, whole } = await peek(bytes, formatPrefixBytes);
    if (start.length === 0) {
      throw new KmsPocError('NotCiphertext', 'There is no encrypted message: the input is empty.');
    }
    const format = formatOf(start);
    if (format === undefined) {
      throw new KmsPocError(
        'NotCiphertext',
        'This is not an encrypted message, or its beginning is damaged.',
        'Copy all of it, as kms-encrypt printed it.',
      );
    }
    return { format, ciphertext: whole, base64Characters };
  } catch (error) {
    throw asCutPaste(error, base64Characters());
  }
}

/** What KMS `Decrypt` takes: https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html */
const maxKmsCiphertextBytes = 6144;

/**
 * All of a ciphertext that is taken for a KMS blob: what is wrong with it comes before what is
 * wrong with the keys.
 *
 * @throws KmsPocError NotCiphertext: it is too long for one
 */
export async function collectKmsBlob(ciphertext: ByteStream): Promise<Buffer> {
  // No further than that: the input may be a device without an end.
  const { start } = await peek(ciphertext, maxKmsCiphertextBytes + 1);
  if (start.length <= maxKmsCiphertextBytes) return Buffer.from(start);
  throw new KmsPocError(
    'NotCiphertext',
    'This is not an encrypted message: it does not begin as an AWS Encryption SDK message does, and it is longer than any of AWS KMS.',
    'Copy all of it, as kms-encrypt printed it.',
  );
}

/**
 * The lengths at which a terminal cuts a pasted line that is read in its own line mode: on Linux
 * and on macOS.
 */
const cutPasteCharacters = [4095, 1024];

/** @returns the error, with the likely reason where a terminal cut the paste on its way here */
export function asCutPaste(error: unknown, base64Characters: number | undefined): unknown {
  if (!(error instanceof KmsPocError) || error.status !== exitStatus.undecryptable) return error;
  if (base64Characters === undefined || !cutPasteCharacters.includes(base64Characters))
    return error;
  return new KmsPocError(
    'NotCiphertext',
    `This message is not complete: it has ${base64Characters} characters, which is where a terminal cuts a pasted line.`,
    'Paste it at the prompt of kms-decrypt, or put it in a file: --in FILE.',
    { cause: error },
  );
}
