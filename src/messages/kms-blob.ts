/** Messages that AWS KMS encrypted itself, without the Encryption SDK. */
import { KmsPocError, usageError } from '../errors.ts';
import { formatOf } from '../formats/ciphertext-format.ts';
import { openAwsKey } from '../keys/aws-key.ts';
import type { AwsKeyReference, KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { asBuffer } from '../streams/byte-stream.ts';

/** @throws KmsPocError */
export const openKmsBlob = (
  keys: readonly KeyReference[],
  sources: KeySources,
  user: string,
  blob: Uint8Array,
): Promise<{ readonly plaintext: Uint8Array; readonly keyArn: string }> =>
  tryKmsKeys(keys, async (reference, failures) => {
    const { keyId, kms } = await openAwsKey(reference, sources);
    const opened = await kms.decrypt(keyId, user, asBuffer(blob).toString('base64'));
    if (reference !== keys[0]) sources.events.otherKey(opened.keyArn, failures);
    return opened;
  });

/**
 * Tries the KMS keys one after the other, because a blob doesn't tell us which one made it.
 *
 * @param attempt receives the failures of the keys before it
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
  // That the key is the wrong one says less than another key's error.
  throw failures.find(({ code }) => code !== 'WrongKey') ?? failures[0] ?? noKmsKeySet();
}

/**
 * For one message among many: that it needs another kind of key is its own fault.
 *
 * @throws KmsPocError Usage
 */
export function requireKmsKeyFor(ciphertext: Uint8Array, keys: readonly KeyReference[]): void {
  if (formatOf(ciphertext) === 'kms' && !keys.some(({ kind }) => kind === 'aws')) {
    throw noKmsKeySet();
  }
}

const noKmsKeySet = (): KmsPocError =>
  usageError(
    'This looks like an AWS KMS message, and no AWS KMS key is set.',
    'Set KEY_ID in the settings file or the environment, or pass --key with an alias, key id or ARN.',
  );
