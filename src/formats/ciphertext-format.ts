/** The published formats that are read and written. */
export type CiphertextFormat = 'kms' | 'aws-encryption-sdk';

/** How many bytes it takes to tell the formats apart. */
export const formatPrefixBytes = 3;

/**
 * Recognizes a format by its first bytes. An AWS Encryption SDK message begins with its version. In
 * version 2, an algorithm suite with key commitment follows (0x0478, or 0x0578 with a signature);
 * in version 1, the type, 0x80. Anything else is assumed to be a KMS blob: AWS doesn't publish that
 * format, and KMS itself says whether it is one.
 *
 * @returns undefined for what is certainly neither: too short, or an Encryption SDK message with
 *   one of these bytes changed. Taken for a KMS blob, that would need a KMS key.
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
