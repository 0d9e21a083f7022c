/**
 * What `kms-decrypt` does: a ciphertext and the keys that may open it in, a plaintext out.
 */
import { KmsPocError, usageError } from '../errors.ts';
import { type ByteStream, streamOf } from '../streams/byte-stream.ts';
import type { CiphertextFormat } from '../formats/ciphertext-format.ts';
import { unwrappingKey } from '../keys/decryption-keys.ts';
import type { AwsKeyReference, KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { openAwsKey } from '../keys/opened-keys.ts';
import {
  asCutPaste,
  collectKmsBlob,
  findCiphertext,
  type FoundCiphertext,
} from './ciphertext-input.ts';

export interface DecryptRequest {
  readonly user: string;
  /** The keys that may be used, and no others, in the order to try them. */
  readonly keys: readonly KeyReference[];
  readonly sources: KeySources;
  /** Bytes, base64 or JSON. */
  readonly input: ByteStream;
  /** Whether nobody sees any of the plaintext before all of it is there. */
  readonly outputHeldUntilEnd: boolean;
  /**
   * Told, before any of the plaintext comes out, when it was not the first key that opened it, and
   * why those before it did not, if they were asked.
   */
  readonly onOtherKey: (key: string, failures: readonly KmsPocError[]) => void;
}

export interface Decrypted {
  /**
   * Verified bytes only. Yet a message can turn out to be cut or changed further on: it is the
   * message only once it was read to its end without an error.
   */
  readonly plaintext: ByteStream;
  readonly format: CiphertextFormat;
  /** The key that opened it: its ARN or name. Known once the first byte is out. */
  readonly key: () => string;
}

/** @throws KmsPocError */
export async function decrypt(request: DecryptRequest): Promise<Decrypted> {
  const found = await findCiphertext(request.input);
  return decryptFound(request, found);
}

/** @throws KmsPocError */
export async function decryptFound(
  request: Omit<DecryptRequest, 'input'>,
  { format, ciphertext, base64Characters }: FoundCiphertext,
): Promise<Decrypted> {
  try {
    const decrypted = await (format === 'kms'
      ? decryptByKms(request, ciphertext)
      : decryptEnvelope(request, ciphertext));
    return { ...decrypted, plaintext: explainCutPaste(decrypted.plaintext, base64Characters) };
  } catch (error) {
    throw asCutPaste(error, base64Characters());
  }
}

/** @throws KmsPocError */
export async function decryptByKms(
  { user, keys, sources, onOtherKey }: Omit<DecryptRequest, 'input' | 'outputHeldUntilEnd'>,
  ciphertext: ByteStream,
): Promise<Decrypted> {
  const ciphertextBase64 = (await collectKmsBlob(ciphertext)).toString('base64');
  return tryKmsKeys(keys, async (reference, failures) => {
    const { keyId, kms } = await openAwsKey(reference, sources);
    const { plaintext, keyArn } = await kms.decrypt(keyId, user, ciphertextBase64);
    if (reference !== keys[0]) onOtherKey(keyArn, failures);
    return { plaintext: streamOf(plaintext), format: 'kms', key: () => keyArn };
  });
}

/**
 * Tries the keys of KMS one after the other: a blob doesn't tell us which one made it.
 *
 * @param attempt is given the failures of the keys before it
 * @throws KmsPocError
 */
export async function tryKmsKeys<Result>(
  keys: readonly KeyReference[],
  attempt: (key: AwsKeyReference, failures: readonly KmsPocError[]) => Promise<Result>,
): Promise<Result> {
  const failures: KmsPocError[] = [];
  for (const key of keys) {
    if (key.kind !== 'aws') continue;
    try {
      return await attempt(key, failures);
    } catch (error) {
      if (!(error instanceof KmsPocError)) throw error;
      failures.push(error);
    }
  }
  // That it is another key's says less than what that key said.
  throw (
    failures.find(({ code }) => code !== 'WrongKey') ??
    failures[0] ??
    usageError(
      'This looks like a message of AWS KMS, and no key of AWS KMS is set.',
      'Set KEY_ID in .env or the environment, or name the key: --key alias/NAME, its id or ARN.',
    )
  );
}

async function decryptEnvelope(
  { user, keys, sources, outputHeldUntilEnd, onOtherKey }: Omit<DecryptRequest, 'input'>,
  ciphertext: ByteStream,
): Promise<Decrypted> {
  const { decryptMessage } = await import('../envelope/decrypt.ts');
  let openedWith = '';
  return {
    plaintext: decryptMessage({
      keys: keys.map((key) => unwrappingKey(key, sources)),
      user,
      ciphertext,
      outputHeldUntilEnd,
      onOpened: ({ key, isFirst, failures }) => {
        openedWith = key.name;
        if (!isFirst) onOtherKey(key.name, failures);
      },
    }),
    format: 'aws-encryption-sdk',
    key: () => openedWith,
  };
}

async function* explainCutPaste(
  plaintext: ByteStream,
  base64Characters: () => number | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    yield* plaintext;
  } catch (error) {
    throw asCutPaste(error, base64Characters());
  }
}
