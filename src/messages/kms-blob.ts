/** Messages that AWS KMS encrypted itself: rung 1. */
import { KmsPocError, usageError } from '../errors.ts';
import { openAwsKey } from '../keys/aws-key.ts';
import type { AwsKeyReference, KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { type ByteStream, peek } from '../streams/byte-stream.ts';

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
    'This is not an encrypted message: it does not start like an AWS Encryption SDK message, and it is too long for one of AWS KMS.',
    'Copy all of it, exactly as kms-encrypt printed it.',
  );
}

/** @throws KmsPocError */
export const openKmsBlob = (
  keys: readonly KeyReference[],
  sources: KeySources,
  user: string,
  blob: Buffer,
): Promise<{ readonly plaintext: Uint8Array; readonly keyArn: string }> =>
  tryKmsKeys(keys, async (reference, failures) => {
    const { keyId, kms } = await openAwsKey(reference, sources);
    const opened = await kms.decrypt(keyId, user, blob.toString('base64'));
    if (reference !== keys[0]) sources.events.otherKey(opened.keyArn, failures);
    return opened;
  });

/**
 * Tries the keys of KMS one after the other: a blob doesn't tell us which one made it.
 *
 * @param attempt is given the failures of the keys before it
 * @throws KmsPocError
 */
export async function tryKmsKeys<Result>(
  keys: readonly KeyReference[],
  attempt: (key: AwsKeyReference, failures: readonly KmsPocError[]) => Promise<Result>,
): Promise<Result> {
  const failures: KmsPocError[] = [];
  for (const key of keys) {
    if (key.kind !== 'aws') continue;
    try {
      return await attempt(key, failures);
    } catch (error) {
      if (!(error instanceof KmsPocError)) throw error;
      failures.push(error);
    }
  }
  // That it is another key's says less than what that key said.
  throw (
    failures.find(({ code }) => code !== 'WrongKey') ??
    failures[0] ??
    usageError(
      'This looks like an AWS KMS message, and no AWS KMS key is set.',
      'Set KEY_ID in .env or the environment, or pass --key with an alias, key id or ARN.',
    )
  );
}
