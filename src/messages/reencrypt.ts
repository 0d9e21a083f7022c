/**
 * What `kms-reencrypt` does: a ciphertext in, a ciphertext of the same message under another key
 * out. Nothing but ciphertext touches the disk.
 */
import { createHash, type Hash } from 'node:crypto';

import { KmsPocError } from '../errors.ts';
import { type ByteStream, peek, streamOf } from '../streams/byte-stream.ts';
import type { EncryptionKeys } from '../keys/encryption-keys.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { openAwsKey } from '../keys/opened-keys.ts';
import { decrypt, decryptFound, tryKmsKeys } from './decrypt.ts';
import { encrypt, type Encrypted } from './encrypt.ts';
import { asCutPaste, collectKmsBlob, findCiphertext } from './ciphertext-input.ts';

/** From which keys to which, with whose credentials. */
export interface Move {
  /** The keys that may open the old ciphertext, in the order to try them. */
  readonly oldKeys: readonly KeyReference[];
  /** The keys that may open the new one: each of them, as `encrypt` takes them. */
  readonly newKeys: readonly [KeyReference, ...KeyReference[]];
  /** The same, opened with the encryptor's credentials. */
  readonly encryptionKeys: EncryptionKeys;
  /** With the decryptor's credentials. */
  readonly decryptor: KeySources;
  /** With those of the AWS SDK's own chain, which move a message within KMS. */
  readonly mover: KeySources;
}

export interface ReencryptRequest extends Move {
  readonly user: string;
  /** Bytes, base64 or JSON. */
  readonly input: ByteStream;
  /** Whether nobody uses any of the new ciphertext before all of it is there. */
  readonly outputHeldUntilEnd: boolean;
}

export interface Reencrypted extends Encrypted {
  /** Whether the old ciphertext came as bytes, not as base64. */
  readonly cameAsBytes: boolean;
  /**
   * Opens the new ciphertext, before the old one is given up for it.
   *
   * @param written what was written, as it is read back
   * @throws KmsPocError, as `decrypt`; Unexpected when it holds another message
   */
  readonly prove: (written: ByteStream) => Promise<void>;
}

/** @throws KmsPocError */
export async function reencrypt(request: ReencryptRequest): Promise<Reencrypted> {
  const { user, input, oldKeys, newKeys, encryptionKeys, decryptor, outputHeldUntilEnd } = request;
  const found = await findCiphertext(input);
  const cameAsBytes = found.base64Characters() === undefined;
  let plaintext: ByteStream;
  if (found.format === 'kms') {
    let opened: MovedBlob | OpenedBlob;
    try {
      opened = await moveOrOpenBlob(request, user, await collectKmsBlob(found.ciphertext));
    } catch (error) {
      throw asCutPaste(error, found.base64Characters());
    }
    if ('prove' in opened) {
      const { blob, keyArn, prove } = opened;
      return {
        ...{ ciphertext: streamOf(blob), format: 'kms', key: keyArn, cameAsBytes },
        prove: async (written) =>
          prove(await collectKmsBlob((await findCiphertext(written)).ciphertext)),
      };
    }
    plaintext = streamOf(opened.plaintext);
  } else {
    const old = { user, keys: oldKeys, sources: decryptor, outputHeldUntilEnd, onOtherKey: ignore };
    ({ plaintext } = await decryptFound(old, found));
  }

  // A new key may be made for it, and is not for a message that doesn't open.
  const { whole } = await peek(plaintext, 1);
  const digest = createHash('sha256');
  const encrypted = await encrypt(user, encryptionKeys, hashed(whole, digest));
  return {
    ...encrypted,
    cameAsBytes,
    prove: async (written) => {
      const proof = createHash('sha256');
      const decrypted = await decrypt({
        ...{ user, keys: [...newKeys, ...oldKeys], sources: decryptor, onOtherKey: ignore },
        ...{ input: written, outputHeldUntilEnd: true },
      });
      for await (const bytes of decrypted.plaintext) proof.update(bytes);
      if (!proof.digest().equals(digest.digest())) throw otherMessage();
    },
  };
}

interface OpenedBlob {
  readonly plaintext: Uint8Array;
}

interface MovedBlob {
  readonly blob: Buffer;
  readonly keyArn: string;
  /**
   * Has KMS open a blob with the new key, for the user, and encrypt it there once more: the proof
   * that KMS can give without giving the plaintext.
   */
  readonly prove: (blob: Buffer) => Promise<void>;
}

/**
 * Moves a KMS blob within KMS, so that no plaintext leaves it, where the new key is one of KMS
 * alone and in the Region of the old one. Else opens it.
 *
 * @throws KmsPocError
 */
export function moveOrOpenBlob(
  { oldKeys, newKeys, decryptor, mover }: Move,
  user: string,
  blob: Buffer,
): Promise<MovedBlob | OpenedBlob> {
  const [newKey, ...others] = newKeys;
  return tryKmsKeys(oldKeys, async (oldKey) => {
    if (newKey.kind === 'aws' && others.length === 0) {
      const { keyId, kms } = await openAwsKey(oldKey, mover);
      const to = await openAwsKey(newKey, mover);
      if (kms.region === to.kms.region) {
        const moved = await kms.reEncrypt(keyId, user, blob.toString('base64'), to.keyId);
        const prove = async (newBlob: Buffer): Promise<void> => {
          await kms.reEncrypt(to.keyId, user, newBlob.toString('base64'), to.keyId);
        };
        return {
          blob: Buffer.from(moved.ciphertextBase64, 'base64'),
          keyArn: moved.keyArn,
          prove,
        };
      }
    }
    const { keyId, kms } = await openAwsKey(oldKey, decryptor);
    return { plaintext: (await kms.decrypt(keyId, user, blob.toString('base64'))).plaintext };
  });
}

/** That it was not the first key is what a message is moved for. */
const ignore = (): void => undefined;

async function* hashed(plaintext: ByteStream, digest: Hash): AsyncGenerator<Uint8Array> {
  for await (const bytes of plaintext) {
    digest.update(bytes);
    yield bytes;
  }
}

export const otherMessage = (): KmsPocError =>
  new KmsPocError(
    'Unexpected',
    'The new ciphertext opens, but not to the same message.',
    'Nothing was replaced. The disk or the memory of this machine may be failing.',
  );
