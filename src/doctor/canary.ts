/** Random messages, encrypted and opened by the same ways as all others. */
import { createHash, randomBytes } from 'node:crypto';

import { KmsPocError } from '../errors.ts';
import { collectAll, streamOf } from '../streams/byte-stream.ts';
import type { EncryptionKey } from '../keys/encryption-keys.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { decrypt } from '../messages/decrypt.ts';
import { encrypt } from '../messages/encrypt.ts';

export interface Canary {
  /** Of its plaintext, which nobody needs any more. */
  readonly hash: string;
  readonly ciphertext: Uint8Array;
}

/** Such as KMS encrypts itself, where no other key need open it. */
export const shortBytes = 32;
/** More than KMS encrypts itself: an AWS Encryption SDK message, as a batch or a file is. */
export const longBytes = 5000;

/** @throws KmsPocError, as `kms-encrypt` would */
export async function encryptCanary(
  user: string,
  keys: readonly [EncryptionKey, ...EncryptionKey[]],
  length: number,
  sign: boolean,
): Promise<Canary> {
  const plaintext = randomBytes(length);
  try {
    const { ciphertext } = await encrypt(user, keys, streamOf(plaintext), sign);
    return { hash: hashOf(plaintext), ciphertext: await collectAll(ciphertext) };
  } finally {
    plaintext.fill(0);
  }
}

/**
 * @param key the only one that is tried
 * @throws KmsPocError, as `kms-decrypt` would
 */
export async function openCanary(
  user: string,
  { hash, ciphertext }: Canary,
  key: KeyReference,
  sources: KeySources,
): Promise<void> {
  const opened = await decrypt(
    { user, keys: [key], sources, requireSigned: false, outputHeldUntilEnd: true },
    streamOf(ciphertext),
  );
  const plaintext = await collectAll(opened.plaintext);
  const isSame = hashOf(plaintext) === hash;
  plaintext.fill(0);
  if (!isSame) {
    throw new KmsPocError(
      'CannotDecrypt',
      'The decrypted message differs from the one that was encrypted.',
      'Something other than KMS may have answered: check AWS_ENDPOINT_URL.',
    );
  }
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
