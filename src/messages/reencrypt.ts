/**
 * Turns a ciphertext into one of the same message under another key. Nothing but ciphertext touches
 * the disk.
 */
import { createHash, type Hash } from 'node:crypto';

import { KmsPocError, usageError } from '../errors.ts';
import type { EncryptionKeys } from '../keys/encryption-keys.ts';
import { openAwsKey } from '../keys/aws-key.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { asBuffer, type ByteStream, collectAll, peek, streamOf } from '../streams/byte-stream.ts';
import { findCiphertext, type FoundCiphertext } from './ciphertext-input.ts';
import { decrypt, decryptFound } from './decrypt.ts';
import { encrypt, type Encrypted } from './encrypt.ts';
import { tryKmsKeys } from './kms-blob.ts';

/** Which keys to move from and to, and whose credentials to use. */
export interface Move {
  /** The keys that may open the old ciphertext, in the order to try them. */
  readonly oldKeys: readonly KeyReference[];
  /** The keys that may open the new one: all of them can, as in `encrypt`. */
  readonly newKeys: readonly [KeyReference, ...KeyReference[]];
  /** The same, opened with the encryptor's credentials. */
  readonly encryptionKeys: EncryptionKeys;
  /** Whether to sign the new message: then KMS can't move it itself. */
  readonly sign: boolean;
  /** Whether an old Encryption SDK message without a signature is refused. */
  readonly requireSigned: boolean;
  /** With the decryptor's credentials. */
  readonly decryptor: KeySources;
  /** With those of the AWS SDK's own chain, which move a message within KMS. */
  readonly mover: KeySources;
}

/** A new ciphertext, and what is known about it. */
interface New {
  readonly ciphertext: ByteStream;
}

/** How messages are opened and encrypted when KMS doesn't move them itself. */
export interface Ways<Encrypted extends New> {
  readonly open: (user: string, found: FoundCiphertext) => Promise<ByteStream>;
  readonly encrypt: (user: string, plaintext: ByteStream) => Promise<Encrypted>;
  /** Opens what was encrypted, trying the new keys before the old ones. */
  readonly reopen: (user: string, written: ByteStream) => Promise<ByteStream>;
}

interface Proof {
  /**
   * Opens the new ciphertext before it replaces the old one.
   *
   * @param written what was written, as it is read back
   * @throws KmsPocError, as `decrypt` does; Unexpected if it contains a different message
   */
  readonly prove: (written: ByteStream) => Promise<void>;
}

/**
 * For one message of any size.
 *
 * @param outputHeldUntilEnd whether nobody uses any of the new ciphertext until all of it is there
 */
export function streamedWays(move: Move, outputHeldUntilEnd: boolean): Ways<Encrypted> {
  const { oldKeys, newKeys, encryptionKeys, sign, requireSigned, decryptor: sources } = move;
  const opening = { sources, requireSigned };
  return {
    open: async (user, found) =>
      (await decryptFound({ ...opening, user, keys: oldKeys, outputHeldUntilEnd }, found))
        .plaintext,
    encrypt: (user, plaintext) => encrypt(user, encryptionKeys, plaintext, sign),
    reopen: async (user, written) => {
      const keys = [...newKeys, ...oldKeys];
      const decrypted = await decrypt(
        { ...opening, user, keys, outputHeldUntilEnd: true },
        written,
      );
      return decrypted.plaintext;
    },
  };
}

/** @throws KmsPocError */
export async function reencrypt<Result extends New>(
  move: Move,
  { open, encrypt, reopen }: Ways<Result>,
  user: string,
  found: FoundCiphertext,
): Promise<(Result | Encrypted) & Proof> {
  const opened =
    found.format === 'kms'
      ? await moveOrOpenBlob(move, user, await collectAll(found.ciphertext))
      : { plaintext: await open(user, checkSigning(move, found)) };
  if ('moved' in opened) return opened.moved;

  // A new key may be created for a message, but not for one that doesn't open.
  const { whole } = await peek(opened.plaintext, 1);
  const digest = createHash('sha256');
  const encrypted = await encrypt(user, hashed(whole, digest));
  return {
    ...encrypted,
    prove: async (written) => {
      const proof = createHash('sha256');
      for await (const bytes of await reopen(user, written)) proof.update(bytes);
      if (!proof.digest().equals(digest.digest())) throw otherMessage();
    },
  };
}

/**
 * Moves a KMS blob within KMS, so that no plaintext leaves it, where the new key is one of KMS
 * alone, in the Region of the old one, and nothing is to be signed. Else opens it.
 *
 * @throws KmsPocError
 */
function moveOrOpenBlob(
  move: Move,
  user: string,
  blob: Uint8Array,
): Promise<{ readonly moved: Encrypted & Proof } | { readonly plaintext: ByteStream }> {
  const { oldKeys, newKeys, sign, decryptor, mover } = move;
  const [newKey, ...others] = newKeys;
  const base64 = asBuffer(blob).toString('base64');
  return tryKmsKeys(oldKeys, async (oldKey) => {
    if (newKey.kind === 'aws' && others.length === 0 && !sign) {
      const { keyId, kms } = await openAwsKey(oldKey, mover);
      const to = await openAwsKey(newKey, mover);
      if (kms.region === to.kms.region) {
        const moved = await kms.reEncrypt(keyId, user, base64, to.keyId);
        return {
          moved: {
            ciphertext: streamOf(Buffer.from(moved.ciphertextBase64, 'base64')),
            format: 'kms',
            key: moved.keyArn,
            keys: [moved.keyArn],
            // KMS opens it with the new key, for the user, and encrypts it there once more: the
            // proof that it can give without giving the plaintext.
            prove: async (written) => {
              const newBlob = await collectAll((await findCiphertext(written)).ciphertext);
              await kms.reEncrypt(to.keyId, user, asBuffer(newBlob).toString('base64'), to.keyId);
            },
          },
        };
      }
    }
    checkSigning(move, blob);
    const { keyId, kms } = await openAwsKey(oldKey, decryptor);
    const { plaintext } = await kms.decrypt(keyId, user, base64);
    return { plaintext: streamOf(plaintext) };
  });
}

/** Otherwise a message would lose its signature, and those who require one could no longer read it. */
function checkSigning<Found>({ sign, requireSigned }: Move, found: Found): Found {
  if (sign || !requireSigned) return found;
  throw usageError(
    'Signatures are required, but the new message would not be signed.',
    'Add --sign, or set SIGN=yes wherever REQUIRE_SIGNED is set.',
  );
}

async function* hashed(plaintext: ByteStream, digest: Hash): AsyncGenerator<Uint8Array> {
  for await (const bytes of plaintext) {
    digest.update(bytes);
    yield bytes;
  }
}

const otherMessage = (): KmsPocError =>
  new KmsPocError(
    'Unexpected',
    'The new ciphertext opens, but to a different message.',
    "Nothing was replaced. This machine's disk or memory may be failing.",
  );
