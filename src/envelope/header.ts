/**
 * The header of an AWS Encryption SDK message. It is public, and nothing in it may be trusted until
 * the message's key has authenticated it.
 * Format: https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html
 */
import { MessageFormat, NodeAlgorithmSuite } from '@aws-crypto/material-management-node';
import { ContentType, deserializeFactory, type HeaderInfo } from '@aws-crypto/serialize';
import { KmsPocError } from '../errors.ts';
import { asBuffer } from '../streams/byte-stream.ts';
import { envelopePrefixBytes, isEnvelope } from '../formats/ciphertext-format.ts';
import type { ByteReader } from '../streams/byte-reader.ts';
import { maxEncryptedDataKeys, maxHeaderBytes } from './limits.ts';
import type { EncryptedDataKeyInfo } from './key-names.ts';
import { cutMessage } from './errors.ts';

export interface EnvelopeHeader {
  /** Of the message format. Version 1 has no key commitment. */
  version: 1 | 2;
  suiteId: number;
  /** As the AWS documentation calls it: `ALG_AES256_GCM_…`. */
  suiteName: string;
  committing: boolean;
  signed: boolean;
  encryptionContext: Readonly<Record<string, string>>;
  encryptedDataKeys: readonly EncryptedDataKeyInfo[];
  contentType: 'framed' | 'single-block';
  /** Bytes of plaintext in each frame; 0 if the message has no frames. */
  frameLength: number;
  /** Bytes before the first frame, including the header's authentication tag. */
  headerLength: number;
  /** The library's own representation, for walking the frames. */
  info: HeaderInfo;
}

const toUtf8 = (bytes: Uint8Array): string => asBuffer(bytes).toString('utf8');

const { deserializeMessageHeader } = deserializeFactory(toUtf8, NodeAlgorithmSuite);

/**
 * Parses the header at the front of a message.
 *
 * @param bytes the message, or its first part
 * @returns undefined if the header is not complete in `bytes`
 * @throws KmsPocError NotCiphertext or Unsupported
 */
export const parseHeader = (bytes: Uint8Array): EnvelopeHeader | undefined => {
  if (bytes.length < envelopePrefixBytes) return undefined;
  if (!isEnvelope(bytes)) throw notEnvelope();
  let info: HeaderInfo | false;
  try {
    info = deserializeMessageHeader(bytes);
  } catch (error) {
    throw refuseHeader(error);
  }
  if (info === false) {
    if (bytes.length < maxHeaderBytes) return undefined;
    throw headerTooLong();
  }
  if (info.messageHeader.encryptedDataKeys.length > maxEncryptedDataKeys) throw tooManyKeys();
  return describe(info);
};

/**
 * Reads the header at the front of a stream, without consuming it.
 *
 * @throws KmsPocError NotCiphertext or Unsupported
 */
export const readHeader = async (reader: ByteReader): Promise<EnvelopeHeader> => {
  // Each attempt starts from the front, so the length is doubled in between: for bytes that arrive
  // one by one, the cost would otherwise grow with the square of the header's length.
  for (let length = 1024; ; length = Math.min(length * 2, maxHeaderBytes)) {
    const front = await reader.peek(length);
    const header = parseHeader(front.subarray(0, maxHeaderBytes));
    if (header !== undefined) return header;
    if (front.length < length) throw front.length === 0 ? emptyInput() : cutMessage();
  }
};

const describe = (info: HeaderInfo): EnvelopeHeader => {
  const { messageHeader: header, algorithmSuite: suite } = info;
  return {
    version: header.version === MessageFormat.V1 ? 1 : 2,
    suiteId: suite.id,
    suiteName: suite.name,
    committing: suite.commitment === 'KEY',
    signed: suite.signatureCurve !== undefined,
    encryptionContext: header.encryptionContext,
    encryptedDataKeys: header.encryptedDataKeys.map(({ providerId, providerInfo, rawInfo }) => ({
      providerId,
      providerInfo,
      keyName: keyNameOf(rawInfo, providerInfo),
    })),
    contentType: header.contentType === ContentType.FRAMED_DATA ? 'framed' : 'single-block',
    frameLength: header.frameLength,
    headerLength: info.headerLength + info.headerAuth.headerAuthLength,
    info,
  };
};

/** What follows the name of a raw AES key: tag length in bits (128), IV length (12), the IV. */
const rawAesInfoPattern = Buffer.from('000000800000000c', 'hex');
const rawAesInfoBytes = rawAesInfoPattern.length + 12;

const keyNameOf = (rawInfo: Uint8Array | undefined, providerInfo: string): string => {
  const bytes = Buffer.from(rawInfo ?? []);
  const name = bytes.subarray(0, Math.max(0, bytes.length - rawAesInfoBytes));
  const behind = bytes.subarray(name.length, name.length + rawAesInfoPattern.length);
  return behind.equals(rawAesInfoPattern) ? name.toString('utf8') : providerInfo;
};

const notEnvelope = (): KmsPocError =>
  new KmsPocError(
    'NotCiphertext',
    'This is not an AWS Encryption SDK message.',
    'Copy all of it, exactly as kms-encrypt printed it.',
  );

const emptyInput = (): KmsPocError =>
  new KmsPocError(
    'NotCiphertext',
    'There is no ciphertext: the input is empty.',
    'Copy all of it, exactly as kms-encrypt printed it.',
  );

const headerTooLong = (): KmsPocError =>
  new KmsPocError(
    'Unsupported',
    `The header of this message is longer than the limit of ${maxHeaderBytes / 1024} KiB.`,
    'Encrypt it again with fewer keys, using the tool that wrote it.',
  );

const tooManyKeys = (): KmsPocError =>
  new KmsPocError(
    'Unsupported',
    `This message names more than ${maxEncryptedDataKeys} keys, which is the limit.`,
    'Encrypt it again with fewer keys, using the tool that wrote it.',
  );

const refuseHeader = (cause: unknown): KmsPocError =>
  new KmsPocError(
    'NotCiphertext',
    'The header of this message is damaged.',
    'Copy or download all of it again.',
    { cause },
  );
