/** Describes an AWS Encryption SDK message by what it says about itself, without its key. */
import type { KmsPocError } from '../errors.ts';
import { byteReader } from '../streams/byte-reader.ts';
import { type BodySize, measureBody } from './frames.ts';
import { type EnvelopeHeader, readHeader } from './header.ts';
import { refusalsOf } from './requirements.ts';

export interface MessageInspection {
  readonly format: 'aws-encryption-sdk';
  /** Of the ciphertext. */
  readonly bytes: number;
  /** Of the message format. */
  readonly version: 1 | 2;
  readonly algorithm: {
    /** As written in the format: `0x0478`. */
    readonly id: string;
    readonly name: string;
    /** Such as `AES-256-GCM`. */
    readonly cipher: string;
    readonly keyCommitment: boolean;
    readonly signed: boolean;
  };
  readonly encryptionContext: Readonly<Record<string, string>>;
  /** Any one of them can open the message. */
  readonly keys: readonly {
    /** `aws-kms`, or the name that the tool that wrote the message uses for its keys. */
    readonly providerId: string;
    /** The ARN of an AWS KMS key, or the name of any other key. */
    readonly name: string;
  }[];
  readonly headerBytes: number;
  readonly framed: boolean;
  /** Bytes of plaintext in each frame except the last. */
  readonly frameLength: number;
  readonly frames: number;
  readonly plaintextBytes: number;
  /** Why kms-decrypt refuses this message, whichever user and key are given. */
  readonly refusals: readonly KmsPocError[];
  /** Only the message's key can tell whether any of this is true. */
  readonly verified: false;
}

/**
 * Reads a message to its end, in constant memory.
 *
 * @throws KmsPocError NotCiphertext, Unsupported (a header beyond the limits), CannotDecrypt
 *   (invalid frames); what the ciphertext's source throws
 */
export async function inspectMessage(
  ciphertext: AsyncIterable<Uint8Array>,
): Promise<MessageInspection> {
  const reader = byteReader(ciphertext);
  try {
    const header = await readHeader(reader);
    await reader.readExactly(header.headerLength);
    return describe(header, await measureBody(reader, header));
  } finally {
    reader.close();
  }
}

const describe = (header: EnvelopeHeader, body: BodySize): MessageInspection => ({
  format: 'aws-encryption-sdk',
  bytes: header.headerLength + body.bytes,
  version: header.version,
  algorithm: {
    id: `0x${header.suiteId.toString(16).padStart(4, '0')}`,
    name: header.suiteName,
    cipher: header.info.algorithmSuite.encryption.toUpperCase(),
    keyCommitment: header.committing,
    signed: header.signed,
  },
  encryptionContext: header.encryptionContext,
  keys: header.encryptedDataKeys.map(({ providerId, keyName }) => ({ providerId, name: keyName })),
  headerBytes: header.headerLength,
  framed: header.contentType === 'framed',
  frameLength: header.frameLength,
  frames: body.frames,
  plaintextBytes: body.plaintextBytes,
  refusals: refusalsOf(header, body.plaintextBytes),
  verified: false,
});
