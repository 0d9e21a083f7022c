/** Walks the frames of a message: their headers alone, in constant memory and linear time. */
import { decodeBodyHeader, type BodyHeader } from '@aws-crypto/serialize';
import { KmsPocError } from '../errors.ts';
import type { ByteReader } from '../streams/byte-reader.ts';
import { garbageCollector } from './garbage.ts';
import type { EnvelopeHeader } from './header.ts';
import { cannotDecrypt, cutMessage } from './errors.ts';
import { requireBodyLength } from './requirements.ts';

/** Framed: two sequence numbers, IV, length. Without frames: IV, length. */
const maxFrameHeaderBytes = 4 + 4 + 12 + 4;

/**
 * The body of a message in pieces that suit the library's decrypting stream: the rest of a frame, or
 * several whole ones.
 *
 * Two things that the library doesn't do happen here. The end of the last frame comes out only
 * when the input is known to end there, so whatever is glued to a message is refused before the
 * last frame can be decrypted (the library takes any bytes there and collects them at a cost that
 * grows with their square). And what is announced to be longer than what may be held in memory is
 * refused when its length is read.
 *
 * @param reader behind the header
 * @param onFrame told of each frame when its header was read, before any of it comes out; what it
 *   throws ends the walk
 * @throws KmsPocError NotCiphertext (cut, or goes on after its end), CannotDecrypt (frames that make no sense); what
 *   onFrame throws: Unsupported, when not given
 */
export async function* bodyPieces(
  reader: ByteReader,
  header: EnvelopeHeader,
  onFrame: (frame: BodyHeader) => void = requireBodyLength,
): AsyncGenerator<Buffer> {
  for (;;) {
    const front = await reader.peek(maxFrameHeaderBytes);
    // Whole frames that are at hand go together: with the 4 KiB of the AWS libraries, one by one
    // would cost a third of the speed.
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
 * Counts what is in the body of a message, of any size, by what its frames say of themselves: that
 * they are complete and in order is sure then, and nothing else.
 *
 * @param reader behind the header
 * @throws KmsPocError NotCiphertext (cut, or goes on after its end), CannotDecrypt (frames that make no sense)
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
 * The header of the frame at a position, or undefined if it is not complete.
 *
 * @throws KmsPocError CannotDecrypt, for frames that make no sense
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

/** Behind its tag, counted as `readPos` is. */
const frameEnd = (frame: BodyHeader): number =>
  frame.readPos + frame.contentLength + tagBytes(frame);

/** The next `length` bytes in the pieces in which they come. */
async function* exactly(reader: ByteReader, length: number): AsyncGenerator<Buffer> {
  let left = length;
  while (left > 0) {
    const piece = await reader.read(left);
    if (piece.length === 0) throw cutMessage();
    left -= piece.length;
    yield piece;
  }
}

/** The last tag, and the signature (its length in two bytes before it), if that is all there is. */
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
