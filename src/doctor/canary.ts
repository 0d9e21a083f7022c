/** Random messages, encrypted and opened the same way as any other message. */
import { createHash, randomBytes } from 'node:crypto';

import { KmsPocError } from '../errors.ts';
import { collectAll, streamOf } from '../streams/byte-stream.ts';
import type { EncryptionKey } from '../keys/encryption-keys.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { decrypt } from '../messages/decrypt.ts';
import { encrypt } from '../messages/encrypt.ts';

export interface Canary {
  /** The hash of the plaintext, which itself is not kept. */
  readonly hash: string;
  readonly ciphertext: Uint8Array;
  /** The names of all keys that can open it. */
  readonly keys: readonly string[];
}

/** Short enough for KMS to encrypt directly when no other key has to open it. */
export const shortBytes = 32;
/** Too long for KMS to encrypt directly: an AWS Encryption SDK message, like a batch or a file. */
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
    const encrypted = await encrypt(user, keys, streamOf(plaintext), sign);
    const ciphertext = await collectAll(encrypted.ciphertext);
    return { hash: hashOf(plaintext), ciphertext, keys: encrypted.keys };
  } finally {
    plaintext.fill(0);
  }
}

/**
 * @param key the only key that is tried
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
