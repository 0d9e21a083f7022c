/** A ciphertext as found in the input, and which of the published formats it has. */
import { KmsPocError } from '../errors.ts';
import {
  type CiphertextFormat,
  envelopePrefixBytes,
  formatOf,
  isEnvelope,
  maxKmsBytes,
} from '../formats/ciphertext-format.ts';
import { type ByteStream, peek } from '../streams/byte-stream.ts';
import { decodeCiphertext } from './pasted-ciphertext.ts';

export interface FoundCiphertext {
  readonly format: CiphertextFormat;
  /** Known to be short if it is a KMS blob. */
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
  const { start, whole } = await peek(bytes, envelopePrefixBytes);
  // A message that arrives slowly comes out frame by frame: no more of it is waited for here.
  if (isEnvelope(start)) return { format: 'aws-encryption-sdk', ciphertext: whole };
  const { start: blob, whole: ciphertext } = await peek(whole, maxKmsBytes + 1);
  if (blob.length === 0) {
    throw new KmsPocError(
      'NotCiphertext',
      'There is no encrypted message: the input is empty.',
      'Copy all of it, exactly as kms-encrypt printed it.',
    );
  }
  const format = formatOf(blob);
  if (format === undefined) {
    throw new KmsPocError(
      'NotCiphertext',
      'This is not an encrypted message, or its beginning is damaged.',
      'Copy all of it, exactly as kms-encrypt printed it.',
    );
  }
  return { format, ciphertext };
}
