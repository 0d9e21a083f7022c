/** Describes a ciphertext, without a key. */
import type { MessageInspection } from '../envelope/inspect.ts';
import { type ByteStream, collectAll } from '../streams/byte-stream.ts';
import { findCiphertext } from './ciphertext-input.ts';

/**
 * A ciphertext that is assumed to be an AWS KMS blob. AWS doesn't publish the format: all that can
 * be told is its length, and only KMS knows whether it is one.
 */
interface BlobInspection {
  readonly format: 'kms';
  readonly bytes: number;
  readonly verified: false;
}

export type Inspection = BlobInspection | MessageInspection;

/**
 * Reads the ciphertext to its end, in constant memory, so that one that is truncated, or followed
 * by more data, is not described as if it were whole.
 *
 * @param input bytes, base64 or JSON
 * @throws KmsPocError
 */
export async function inspect(input: ByteStream): Promise<Inspection> {
  const { format, ciphertext } = await findCiphertext(input);
  if (format === 'kms') {
    return { format, bytes: (await collectAll(ciphertext)).length, verified: false };
  }
  const { inspectMessage } = await import('../envelope/inspect.ts');
  return inspectMessage(ciphertext);
}
