/** A KMS key: what encrypting and decrypting have in common. */
import type { WrappingKey } from '../envelope/wrapping-key.ts';
import type { Kms } from '../kms/kms.ts';
import type { AwsKeyReference } from './key-reference.ts';
import type { KeySources } from './key-sources.ts';

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
