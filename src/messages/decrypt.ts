/** Decrypts a ciphertext, using the keys that may open it. */
import type { CiphertextFormat } from '../formats/ciphertext-format.ts';
import { unwrappingKey } from '../keys/decryption-keys.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { type ByteStream, collectAll, streamOf } from '../streams/byte-stream.ts';
import { findCiphertext, type FoundCiphertext } from './ciphertext-input.ts';
import { openKmsBlob } from './kms-blob.ts';

interface DecryptRequest {
  readonly user: string;
  /** The keys that may be used, and no others, in the order to try them. */
  readonly keys: readonly KeyReference[];
  readonly sources: KeySources;
  /** Whether an unsigned Encryption SDK message is refused. */
  readonly requireSigned: boolean;
  /** Whether nobody sees any of the plaintext before all of it is there. */
  readonly outputHeldUntilEnd: boolean;
}

interface Decrypted {
  /**
   * Verified bytes only. Still, a message can turn out to be truncated or changed later on: it is
   * complete only once it was read to its end without an error.
   */
  readonly plaintext: ByteStream;
  readonly format: CiphertextFormat;
  /** The ARN or name of the key that opened it. Known once the first byte is out. */
  readonly key: () => string;
}

/**
 * @param input bytes, base64 or JSON
 * @throws KmsPocError
 */
export const decrypt = async (request: DecryptRequest, input: ByteStream): Promise<Decrypted> =>
  decryptFound(request, await findCiphertext(input));

/** @throws KmsPocError */
export async function decryptFound(
  { user, keys, sources, requireSigned, outputHeldUntilEnd }: DecryptRequest,
  { format, ciphertext }: FoundCiphertext,
): Promise<Decrypted> {
  if (format === 'kms') {
    const blob = await collectAll(ciphertext);
    const { plaintext, keyArn } = await openKmsBlob(keys, sources, user, blob);
    return { plaintext: streamOf(plaintext), format, key: () => keyArn };
  }
  const { decryptMessage } = await import('../envelope/decrypt.ts');
  let openedWith = '';
  return {
    plaintext: decryptMessage({
      keys: keys.map((key) => unwrappingKey(key, sources)),
      user,
      ciphertext,
      requireSigned,
      outputHeldUntilEnd,
      onOpened: ({ key, isFirst, failures }) => {
        openedWith = key.name;
        if (!isFirst) sources.events.otherKey(key.name, failures);
      },
    }),
    format,
    key: () => openedWith,
  };
}
