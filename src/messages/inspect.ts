/** What `kms-decrypt --inspect` does: a ciphertext in, a description of it out. */
import type { MessageInspection } from '../envelope/inspect.ts';
import type { ByteStream } from '../streams/byte-stream.ts';
import { asCutPaste, collectKmsBlob, findCiphertext } from './ciphertext-input.ts';

/**
 * What is taken for a blob of AWS KMS. AWS doesn't publish the format: its length is all that can
 * be told, and whether it is one only KMS can.
 */
export interface BlobInspection {
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
  const { format, ciphertext, base64Characters } = await findCiphertext(input);
  try {
    if (format === 'kms') {
      return { format, bytes: (await collectKmsBlob(ciphertext)).length, verified: false };
    }
    const { inspectMessage } = await import('../envelope/inspect.ts');
    return await inspectMessage(ciphertext);
  } catch (error) {
    throw asCutPaste(error, base64Characters());
  }
}
