/** What encrypting and decrypting both do with a key. */
import type { WrappingKey } from '../envelope/wrapping-key.ts';
import type { Kms } from '../kms/kms.ts';
import type { AwsKeyReference } from './key-reference.ts';
import type { KeySources } from './key-sources.ts';
import type { LocalKey } from './local-key.ts';

export interface AwsKey {
  readonly kind: 'aws';
  readonly keyId: string;
  readonly kms: Kms;
}

/** @throws KmsPocError */
export async function openAwsKey(reference: AwsKeyReference, sources: KeySources): Promise<AwsKey> {
  return { kind: 'aws', keyId: reference.keyId, kms: await sources.connectKms(reference) };
}

/** @throws KmsPocError, when KMS can't say which key is meant */
export async function wrapWithAwsKey({ keyId, kms }: AwsKey): Promise<WrappingKey> {
  const { kmsWrappingKey } = await import('../envelope/kms-wrapping-key.ts');
  return kmsWrappingKey(await kms.resolveKey(keyId), kms.dataKeys);
}

/** Once for each key: its bytes are zeroed, and the wrapping key has a copy of its own. */
export async function wrapWithLocalKey(key: LocalKey): Promise<WrappingKey> {
  const { localWrappingKey } = await import('../envelope/local-wrapping-key.ts');
  // Zeroed by an earlier call, they would encrypt all the same, for anybody to open.
  if (key.keyBytes.every((byte) => byte === 0)) throw new Error('a local key was used twice');
  const wrappingKey = localWrappingKey(key.fingerprint, key.keyBytes);
  key.keyBytes.fill(0);
  return wrappingKey;
}
