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
  /** All that can open it, in the order of its header: `key` is the first. */
  readonly keys: readonly string[];
}

/**
 * One message of a size that KMS takes, that no other key need open and that is not signed, goes to
 * KMS itself: any AWS tool can then read it. All else becomes an AWS Encryption SDK message.
 *
 * @param user becomes the encryption context `{ user }`
 * @param keys each of them can open the message: a key that is not available is an error, never a
 *   message with fewer keys
 * @param sign whether to sign it: KMS signs nothing that it encrypts itself
 * @throws KmsPocError
 */
export async function encrypt(
  user: string,
  keys: EncryptionKeys,
  plaintext: ByteStream,
  sign: boolean,
): Promise<Encrypted> {
  const [key, ...backupKeys] = keys;
  if (key.kind !== 'aws' || backupKeys.length > 0 || sign) {
    return encryptEnvelope(user, keys, plaintext, sign);
  }
  const { start, whole } = await peek(plaintext, maxKmsPlaintextBytes + 1);
  if (start.length === 0 || start.length > maxKmsPlaintextBytes) {
    return encryptEnvelope(user, keys, whole, sign);
  }
  const { ciphertextBase64, keyArn } = await key.kms.encrypt(key.keyId, user, start);
  return {
    ciphertext: streamOf(Buffer.from(ciphertextBase64, 'base64')),
    format: 'kms',
    key: keyArn,
    keys: [keyArn],
  };
}

async function encryptEnvelope(
  user: string,
  keys: EncryptionKeys,
  plaintext: ByteStream,
  sign: boolean,
): Promise<Encrypted> {
  const { encryptionMaterials, encryptMessage } = await import('../envelope/encrypt.ts');
  const wrappingKeys = await loadWrappingKeys(keys);
  const materialsManager = encryptionMaterials(wrappingKeys);
  return {
    ciphertext: encryptMessage({ materialsManager, user, plaintext, sign }),
    format: 'aws-encryption-sdk',
    key: wrappingKeys[0].name,
    keys: wrappingKeys.map(({ name }) => name),
  };
}
