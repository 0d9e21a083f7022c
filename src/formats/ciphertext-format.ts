/** The published formats that are read and written. */
export type CiphertextFormat = 'kms' | 'aws-encryption-sdk';

/** The bytes that tell the formats apart. */
export const formatPrefixBytes = 3;

/**
 * Tells a format by its first bytes. An AWS Encryption SDK message begins with its version, then
 * in version 2 with an algorithm suite with key commitment (0x0478, or 0x0578 with a signature),
 * in version 1 with its type, 0x80. Anything else is taken for a KMS blob: AWS doesn't publish
 * that format, and KMS itself says whether it is one.
 *
 * @returns undefined for what is certainly neither: too short, or an Encryption SDK message with
 *   one of the bytes changed. Taken for a KMS blob, it would be asked for a key of KMS.
 * @see https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html
 */
export function formatOf(start: Uint8Array): CiphertextFormat | undefined {
  if (start.length < formatPrefixBytes) return undefined;
  const [version, second, third] = start;
  if (version === 1 && second === 0x80) return 'aws-encryption-sdk';
  const matches = [version === 2, second === 4 || second === 5, third === 0x78];
  const matching = matches.filter(Boolean).length;
  if (matching === matches.length) return 'aws-encryption-sdk';
  return matching === matches.length - 1 ? undefined : 'kms';
}
