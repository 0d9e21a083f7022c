/** The published formats that are read and written. */
import { isText } from './text.ts';

export type CiphertextFormat = 'kms' | 'aws-encryption-sdk';

/** How many bytes it takes to recognize an AWS Encryption SDK message. */
export const envelopePrefixBytes = 3;

/**
 * What AWS KMS makes of a single byte has more than 150 bytes, and what emulators make of it 65.
 */
export const minKmsBytes = 60;
/**
 * The limit of KMS `Decrypt`: https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
 */
export const maxKmsBytes = 6144;

/**
 * Recognizes an AWS Encryption SDK message by its first bytes: its version, and in version 2 an
 * algorithm suite with key commitment (0x0478, or 0x0578 with a signature), in version 1 the type,
 * 0x80. Anything else may be a KMS blob: AWS doesn't publish that format, and KMS itself says
 * whether it is one. But it is asked only about what can be one: of a possible length, and not
 * text, which may be a secret that somebody took for its ciphertext.
 *
 * @param start all of a ciphertext, or its first `maxKmsBytes + 1` bytes
 * @returns undefined for what is certainly neither. An Encryption SDK message with one of its first
 *   bytes changed is among it: taken for a KMS blob, it would need a KMS key.
 * @see https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html
 */
export function formatOf(start: Uint8Array): CiphertextFormat | undefined {
  const matching = envelopeMatches(start);
  if (matching === envelopePrefixBytes) return 'aws-encryption-sdk';
  const canBeBlob =
    matching < envelopePrefixBytes - 1 &&
    start.length >= minKmsBytes &&
    start.length <= maxKmsBytes &&
    !isText(start);
  return canBeBlob ? 'kms' : undefined;
}

/** @param start the first `envelopePrefixBytes` bytes, or more */
export const isEnvelope = (start: Uint8Array): boolean =>
  envelopeMatches(start) === envelopePrefixBytes;

/** @returns how many of the first bytes are those of an AWS Encryption SDK message */
function envelopeMatches([version, second, third]: Uint8Array): number {
  if (version === 1 && second === 0x80 && third !== undefined) return envelopePrefixBytes;
  return [version === 2, second === 4 || second === 5, third === 0x78].filter(Boolean).length;
}
