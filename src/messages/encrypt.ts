/** Encrypts a plaintext for the keys that may open it. */
import { type ByteStream, peek, streamOf } from '../streams/byte-stream.ts';
import type { CiphertextFormat } from '../formats/ciphertext-format.ts';
import { type EncryptionKeys, loadWrappingKeys } from '../keys/encryption-keys.ts';

/**
 * The limit of KMS `Encrypt`: https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
 */
const maxKmsPlaintextBytes = 4096;

export interface Encrypted {
  /** Bytes, not base64. A failure can come as late as the last of them. */
  readonly ciphertext: ByteStream;
  readonly format: CiphertextFormat;
  /** The ARN, or a local key's name. */
  readonly key: string;
}

/**
 * A single message that is small enough for KMS, and that no other key has to open, goes to KMS
 * itself, so that any AWS tool can read it. Anything else becomes an AWS Encryption SDK message.
 *
 * @param user becomes the encryption context `{ user }`
 * @param keys each of them can open the message: a key that is not available is an error, never a
 *   message with fewer keys
 * @throws KmsPocError
 */
export async function encrypt(
  user: string,
  keys: EncryptionKeys,
  plaintext: ByteStream,
): Promise<Encrypted> {
  const [key, ...backupKeys] = keys;
  if (key.kind !== 'aws' || backupKeys.length > 0) return encryptEnvelope(user, keys, plaintext);
  const { start, whole } = await peek(plaintext, maxKmsPlaintextBytes + 1);
  if (start.length === 0 || start.length > maxKmsPlaintextBytes) {
    return encryptEnvelope(user, keys, whole);
  }
  const { ciphertextBase64, keyArn } = await key.kms.encrypt(key.keyId, user, start);
  return {
    ciphertext: streamOf(Buffer.from(ciphertextBase64, 'base64')),
    format: 'kms',
    key: keyArn,
  };
}

async function encryptEnvelope(
  user: string,
  keys: EncryptionKeys,
  plaintext: ByteStream,
): Promise<Encrypted> {
  const { encryptionMaterials, encryptMessage } = await import('../envelope/encrypt.ts');
  const wrappingKeys = await loadWrappingKeys(keys);
  const materialsManager = encryptionMaterials(wrappingKeys);
  return {
    ciphertext: encryptMessage({ materialsManager, user, plaintext }),
    format: 'aws-encryption-sdk',
    key: wrappingKeys[0].name,
  };
}
