/** From a ciphertext to a description of it, without a key. */
import type { MessageInspection } from '../envelope/inspect.ts';
import type { ByteStream } from '../streams/byte-stream.ts';
import { findCiphertext } from './ciphertext-input.ts';
import { collectKmsBlob } from './kms-blob.ts';

/**
 * What is taken for a blob of AWS KMS. AWS doesn't publish the format: its length is all that can
 * be told, and whether it is one only KMS can.
 */
interface BlobInspection {
  readonly format: 'kms';
  readonly bytes: number;
  readonly verified: false;
}

export type Inspection = BlobInspection | MessageInspection;

/**
 * Reads the ciphertext to its end, in constant memory: what is cut, or goes on after its end, is
 * not described as if it were whole.
 *
 * @param input bytes, base64 or JSON
 * @throws KmsPocError
 */
export async function inspect(input: ByteStream): Promise<Inspection> {
  const { format, ciphertext } = await findCiphertext(input);
  if (format === 'kms') {
    return { format, bytes: (await collectKmsBlob(ciphertext)).length, verified: false };
  }
  const { inspectMessage } = await import('../envelope/inspect.ts');
  return inspectMessage(ciphertext);
}
