/** Messages that are held whole before any of them goes out. */
import { usageError } from '../../errors.ts';
import { type ByteStream, collect } from '../../streams/byte-stream.ts';

/** The most that is held in memory, for output that can't be streamed. */
const maxWholeMebibytes = 64;

/** Why a message is held whole, and what to do if it is too large for that. */
const purposes = {
  'for --json': 'Leave out --json.',
  'for a terminal': 'Write it to a file with --out, or to a pipe.',
};

/** @throws KmsPocError Usage, if the message is too large for that */
export async function collectWhole(
  payload: ByteStream,
  purpose: keyof typeof purposes,
): Promise<Uint8Array> {
  const { bytes } = await collect(payload, maxWholeMebibytes * 2 ** 20);
  if (bytes === undefined) {
    throw usageError(
      `The message is longer than ${maxWholeMebibytes} MiB, too long ${purpose}.`,
      purposes[purpose],
    );
  }
  return bytes;
}
