/**
 * AWS Encryption SDK messages that are held in memory whole. For many small messages, the library's
 * streams cost more than the cryptography does (four times as long, measured with 200 bytes). So
 * here the same messages are written and opened without a stream, using the library's own parts: it
 * derives and commits to the key, creates the ciphers and lays out each field.
 * Format: https://docs.aws.amazon.com/encryption-sdk/latest/developer-guide/message-format.html
 */
import { randomFillSync } from 'node:crypto';
import {
  getDecryptionHelper,
  getEncryptHelper,
  type NodeDecryptionMaterial,
  type NodeEncryptionMaterial,
} from '@aws-crypto/material-management-node';
import {
  aadFactory,
  ContentType,
  decodeBodyHeader,
  MessageIdLength,
  serializeFactory,
  serializeSignatureInfo,
} from '@aws-crypto/serialize';
import { asBuffer } from '../streams/byte-stream.ts';
import type { EnvelopeHeader } from './header.ts';
import { defaultFrameLength } from './limits.ts';
import { commitmentBytes, idEnd, idStart } from './repeated-headers.ts';

const fromUtf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const serialize = serializeFactory(fromUtf8, { utf8Sorting: true });
const { messageAAD, messageAADContentString } = aadFactory(fromUtf8);
const contentType = ContentType.FRAMED_DATA;

/** Authenticates the frame's position and kind along with its content. */
const frameAad = (
  messageId: Uint8Array,
  sequenceNumber: number,
  contentLength: number,
  isFinalFrame: boolean,
): Buffer => {
  const kind = messageAADContentString({ contentType, isFinalFrame });
  return asBuffer(messageAAD(messageId, kind, sequenceNumber, contentLength));
};

/**
 * @param materials of a suite with key commitment
 * @returns the header of a message, with zeros in place of what is different for each message that
 *   shares these materials' data key: its id and its key commitment
 */
export const blankHeader = ({
  suite,
  encryptionContext,
  encryptedDataKeys,
}: NodeEncryptionMaterial): Buffer =>
  asBuffer(
    serialize.serializeMessageHeader(
      serialize.buildMessageHeader({
        suite,
        encryptionContext,
        encryptedDataKeys,
        messageId: new Uint8Array(MessageIdLength.V2),
        frameLength: defaultFrameLength,
        suiteData: new Uint8Array(commitmentBytes),
      }),
    ),
  );

/**
 * Encrypts a message: version 2, with key commitment, as `encryptMessage` does.
 *
 * @param materials of a suite with key commitment; it says whether the message is signed. Used up:
 *   their data key is overwritten
 * @param rawHeader as `blankHeader` returns it for this data key. Used up too
 */
export const encryptWhole = (
  materials: NodeEncryptionMaterial,
  plaintext: Uint8Array,
  rawHeader: Buffer = blankHeader(materials),
): Buffer => {
  const { suite } = materials;
  const { getCipherInfo, getSigner, dispose } = getEncryptHelper(materials);
  try {
    // Random, and the salt for the message's own key. When messages share a data key, this alone
    // keeps the fixed IVs below unique.
    const messageId = randomFillSync(rawHeader.subarray(idStart, idEnd));
    const { getCipher, keyCommitment } = getCipherInfo(messageId);
    if (keyCommitment === undefined) throw new Error('these materials make no key commitment');
    rawHeader.set(keyCommitment, rawHeader.length - commitmentBytes);
    const frameLength = defaultFrameLength;
    const headerCipher = getCipher(serialize.headerAuthIv(suite.ivLength)).setAAD(rawHeader);
    headerCipher.final();
    const parts = [rawHeader, headerCipher.getAuthTag()];

    // The final frame is always shorter than the others, and may be empty: the Encryption SDK for
    // Python rejects one that is not.
    const frames = Math.floor(plaintext.length / frameLength) + 1;
    for (let number = 1; number <= frames; number++) {
      const isFinal = number === frames;
      const content = asBuffer(
        plaintext.subarray((number - 1) * frameLength, number * frameLength),
      );
      const iv = serialize.frameIv(suite.ivLength, number);
      const cipher = getCipher(iv).setAAD(frameAad(messageId, number, content.length, isFinal));
      parts.push(
        asBuffer(
          isFinal
            ? serialize.finalFrameHeader(number, iv, content.length)
            : serialize.frameHeader(number, iv),
        ),
        cipher.update(content),
        cipher.final(),
        cipher.getAuthTag(),
      );
    }
    const signer = getSigner?.();
    if (signer !== undefined) {
      for (const part of parts) signer.update(part);
      parts.push(asBuffer(serializeSignatureInfo(signer.awsCryptoSign())));
    }
    return Buffer.concat(parts);
  } finally {
    dispose();
  }
};

/**
 * Decrypts a message, if it is intact from its first byte to its last.
 *
 * @param header of this message, for which `isPlainFramed` holds; the caller has checked its
 *   encryption context
 * @param materials for this header
 * @returns undefined if anything is wrong: `decryptMessage` finds out what it is
 */
export const decryptWhole = (
  header: EnvelopeHeader,
  materials: NodeDecryptionMaterial,
  message: Buffer,
): Buffer | undefined => {
  const { messageHeader, rawHeader, headerAuth } = header.info;
  if (!('suiteData' in messageHeader)) return undefined;
  const { getDecipherInfo, getVerify } = getDecryptionHelper(materials);
  try {
    // Throws if this is not the data key that the message commits to.
    const getDecipher = getDecipherInfo(messageHeader.messageId, messageHeader.suiteData);
    getDecipher(headerAuth.headerIv)
      .setAAD(asBuffer(rawHeader))
      .setAuthTag(asBuffer(headerAuth.headerAuthTag))
      .final();

    const parts: Buffer[] = [];
    let position = header.headerLength;
    for (let number = 1; ; number++) {
      const frame = decodeBodyHeader(message.subarray(position), header.info, 0);
      // Each frame is authenticated on its own; only this number verifies their order.
      if (frame === false || frame.sequenceNumber !== number) return undefined;
      const start = position + frame.readPos;
      const tagStart = start + frame.contentLength;
      const end = tagStart + frame.tagLength / 8;
      if (end > message.length) return undefined;
      const decipher = getDecipher(frame.iv)
        .setAAD(frameAad(messageHeader.messageId, number, frame.contentLength, frame.isFinalFrame))
        .setAuthTag(message.subarray(tagStart, end));
      parts.push(decipher.update(message.subarray(start, tagStart)), decipher.final());
      position = end;
      if (frame.isFinalFrame) break;
    }
    const verify = getVerify?.();
    if (verify === undefined) return position === message.length ? Buffer.concat(parts) : undefined;
    const signature = message.subarray(position + 2); // after its length
    verify.update(message.subarray(0, position));
    return message.readUInt16BE(position) === signature.length && verify.awsCryptoVerify(signature)
      ? Buffer.concat(parts)
      : undefined;
  } catch {
    return undefined; // a tag or the commitment doesn't match, or a frame's header is invalid
  }
};
