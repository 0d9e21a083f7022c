/** Reads AWS Encryption SDK messages. */
import { buildDecrypt } from '@aws-crypto/decrypt-node';
import {
  CommitmentPolicy,
  type NodeDecryptionMaterial,
  type NodeMaterialsManager,
} from '@aws-crypto/material-management-node';

import { usageError } from '../errors.ts';
import { byteReader } from '../streams/byte-reader.ts';
import { bodyPieces } from './frames.ts';
import { type EnvelopeHeader, readHeader } from './header.ts';
import { maxEncryptedDataKeys, maxUnverifiedBytes, mebibyte } from './limits.ts';
import { cannotDecrypt } from './errors.ts';
import { requireReadable, requireUser } from './requirements.ts';
import { joinSmall, throughStream } from './through-stream.ts';
import { type Opened, unwrapDataKey } from './unwrap.ts';
import type { UnwrappingKey } from './wrapping-key.ts';

export interface DecryptMessageOptions {
  /** The keys that may open the message, in the order to try them. */
  keys: readonly UnwrappingKey[];
  /** The message must be for this user: its encryption context must be exactly `{ user }`. */
  user: string;
  ciphertext: AsyncIterable<Uint8Array>;
  /** Whether an unsigned message is refused. */
  requireSigned?: boolean;
  /**
   * True if the caller shows the output to nobody until the generator has finished without an error
   * (a temporary file, renamed at the end). A signed message can then be of any size.
   */
  outputHeldUntilEnd: boolean;
  /** Called once, after the header is verified and before the first byte comes out. */
  onOpened?: (opened: Opened & { header: EnvelopeHeader }) => void;
}

const { decryptStream } = buildDecrypt({
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys,
});

/**
 * Decrypts one message.
 *
 * Everything that comes out is verified, frame by frame. If something later on is truncated or
 * changed, the frames before it are already out by the time the generator throws. A message with a
 * single frame yields nothing until all of it has been verified.
 *
 * @returns the plaintext
 * @throws KmsPocError WrongUser, WrongKey, NotSigned, NotCiphertext, Unsupported, CannotDecrypt; Usage for a
 *   signed message that doesn't fit in memory; what the ciphertext's source or a key throws
 */
export async function* decryptMessage(options: DecryptMessageOptions): AsyncGenerator<Uint8Array> {
  const { keys, user, ciphertext, requireSigned = false, outputHeldUntilEnd, onOpened } = options;
  const reader = byteReader(ciphertext);
  try {
    const header = await readHeader(reader);
    requireReadable(header, user, requireSigned);
    // Before the library starts: what a key's service says would be one of several errors that
    // the library's streams emit then, in no sure order.
    const { materials, ...opened } = await unwrapDataKey(keys, header);

    const stream = decryptStream(onlyThese(materials, header.signed, user), {
      maxBodySize: maxUnverifiedBytes,
    });
    const headerVerified = new Promise((resolve, reject) => {
      stream.once('MessageHeader', resolve);
      stream.once('error', reject);
    });
    // Once the reader of the output has gone, nobody waits for this any more.
    headerVerified.catch(() => undefined);
    async function* headerThenBody(): AsyncGenerator<Buffer> {
      yield await reader.readExactly(header.headerLength);
      // Until the header is verified, the lengths in it mean nothing.
      await headerVerified.catch((error: unknown) => {
        throw cannotDecrypt(error);
      });
      onOpened?.({ header, ...opened });
      yield* bodyPieces(reader, header);
    }
    const plaintext = joinSmall(throughStream(headerThenBody(), stream, cannotDecrypt));
    if (header.signed && !outputHeldUntilEnd) yield* collectSigned(plaintext);
    else yield* plaintext;
  } finally {
    reader.close();
  }
}

/** Hands out the materials at hand, after a look at what the library read and will authenticate. */
const onlyThese = (
  materials: NodeDecryptionMaterial,
  signed: boolean,
  user: string,
): NodeMaterialsManager => ({
  getEncryptionMaterials: () => Promise.reject(new Error('these materials only decrypt')),
  decryptMaterials: ({ encryptionContext }) => {
    requireUser({ encryptionContext, signed }, user);
    return Promise.resolve(materials);
  },
});

/** The signature comes at the end, and nothing may be shown before it is verified. */
async function* collectSigned(plaintext: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of plaintext) {
    length += piece.length;
    if (length > maxUnverifiedBytes) {
      throw usageError(
        `This message is signed and longer than ${maxUnverifiedBytes / mebibyte} MiB: none of it can be shown before its signature is verified.`,
        'Decrypt it to a file with --out.',
      );
    }
    pieces.push(piece);
  }
  yield* pieces;
}
