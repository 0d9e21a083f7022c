/** Walks the frames of a message by their headers alone, in constant memory and linear time. */
import { decodeBodyHeader, type BodyHeader } from '@aws-crypto/serialize';
import { KmsPocError } from '../errors.ts';
import type { ByteReader } from '../streams/byte-reader.ts';
import { garbageCollector } from './garbage.ts';
import type { EnvelopeHeader } from './header.ts';
import { cannotDecrypt, cutMessage } from './errors.ts';
import { requireBodyLength } from './requirements.ts';

/** With frames: two sequence numbers, IV, length. Without frames: IV, length. */
const maxFrameHeaderBytes = 4 + 4 + 12 + 4;

/**
 * Splits the body of a message into pieces that suit the library's decrypting stream: the rest of a
 * frame, or several whole ones.
 *
 * It also does two things that the library doesn't. The end of the last frame comes out only once
 * the input is known to end there, so anything appended to a message is refused before the last
 * frame can be decrypted (the library accepts any bytes there and collects them at a cost that
 * grows with their square). And a frame that is announced to be longer than the memory limit is
 * refused as soon as its length is read.
 *
 * @param reader positioned after the header
 * @param onFrame called for each frame once its header was read, before any of it comes out; what
 *   it throws ends the walk
 * @throws KmsPocError NotCiphertext (truncated, or followed by more data), CannotDecrypt (invalid
 *   frames); what onFrame throws: by default, Unsupported
 */
export async function* bodyPieces(
  reader: ByteReader,
  header: EnvelopeHeader,
  onFrame: (frame: BodyHeader) => void = requireBodyLength,
): AsyncGenerator<Buffer> {
  for (;;) {
    const front = await reader.peek(maxFrameHeaderBytes);
    // Whole frames that are already here go out together: with the 4 KiB frames of the AWS
    // libraries, sending them one by one would cost a third of the speed.
    let wholeFrames = 0;
    let frame = frameAt(front, wholeFrames, header);
    while (frame !== undefined && !frame.isFinalFrame && frameEnd(frame) <= front.length) {
      onFrame(frame);
      wholeFrames = frameEnd(frame);
      frame = frameAt(front, wholeFrames, header);
    }
    if (wholeFrames > 0) {
      yield await reader.readExactly(wholeFrames);
      continue;
    }
    if (frame === undefined) throw cutMessage();
    onFrame(frame);
    if (!frame.isFinalFrame) {
      yield* exactly(reader, frameEnd(frame));
      continue;
    }
    yield* exactly(reader, frame.readPos + frame.contentLength);
    yield await lastBytes(reader, tagBytes(frame), header.signed);
    return;
  }
}

export interface BodySize {
  /** Of the ciphertext: all frames, and the signature if there is one. */
  bytes: number;
  /** 1 for a message without frames. */
  frames: number;
  plaintextBytes: number;
}

/**
 * Measures the body of a message of any size, by what its frames say about themselves. All that
 * this proves is that they are complete and in order.
 *
 * @param reader positioned after the header
 * @throws KmsPocError NotCiphertext (truncated, or followed by more data), CannotDecrypt (invalid
 *   frames)
 */
export const measureBody = async (
  reader: ByteReader,
  header: EnvelopeHeader,
): Promise<BodySize> => {
  const size = { bytes: 0, frames: 0, plaintextBytes: 0 };
  const count = ({ sequenceNumber, contentLength }: BodyHeader): void => {
    size.frames += 1;
    size.plaintextBytes += contentLength;
    if (sequenceNumber !== size.frames) throw cannotDecrypt(new Error('frames out of order'));
  };
  const bytesPassed = garbageCollector();
  for await (const piece of bodyPieces(reader, header, count)) {
    size.bytes += piece.length;
    bytesPassed(piece.length);
  }
  return size;
};

/**
 * Returns the header of the frame at a position, or undefined if it is incomplete.
 *
 * @throws KmsPocError CannotDecrypt, for invalid frames
 */
const frameAt = (
  bytes: Uint8Array,
  position: number,
  header: EnvelopeHeader,
): BodyHeader | undefined => {
  try {
    const frame = decodeBodyHeader(bytes, header.info, position);
    return frame === false ? undefined : frame;
  } catch (error) {
    throw cannotDecrypt(error);
  }
};

const tagBytes = (frame: BodyHeader): number => frame.tagLength / 8;

/** The position after its tag, counted like `readPos`. */
const frameEnd = (frame: BodyHeader): number =>
  frame.readPos + frame.contentLength + tagBytes(frame);

/** Yields the next `length` bytes in the pieces in which they come. */
async function* exactly(reader: ByteReader, length: number): AsyncGenerator<Buffer> {
  let left = length;
  while (left > 0) {
    const piece = await reader.read(left);
    if (piece.length === 0) throw cutMessage();
    left -= piece.length;
    yield piece;
  }
}

/**
 * Returns the last tag, and the signature (which has its length in the two bytes before it), if
 * that is all there is.
 */
const lastBytes = async (
  reader: ByteReader,
  tagLength: number,
  signed: boolean,
): Promise<Buffer> => {
  let length = tagLength;
  if (signed) {
    const front = await reader.peek(tagLength + 2);
    if (front.length < tagLength + 2) throw cutMessage();
    length += 2 + front.readUInt16BE(tagLength);
  }
  const rest = await reader.peek(length + 1);
  if (rest.length < length) throw cutMessage();
  if (rest.length > length) {
    throw new KmsPocError(
      'NotCiphertext',
      'There is more after the end of the ciphertext: something was added, or two were joined.',
      'Decrypt each message on its own.',
    );
  }
  return reader.read(length);
};
