/**
 * What `kms-decrypt` does: a ciphertext and the keys that may open it in, a plaintext out.
 */
import { exitStatus, KmsPocError, usageError } from '../errors.ts';
import { readCiphertext } from '../formats/base64.ts';
import { type ByteStream, collect, peek, streamOf } from '../formats/byte-stream.ts';
import {
  type CiphertextFormat,
  formatOf,
  formatPrefixBytes,
} from '../formats/ciphertext-format.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import { unwrappingKey } from '../keys/decryption-keys.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { openAwsKey } from '../keys/opened-keys.ts';

/** What KMS `Decrypt` takes: https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html */
const maxKmsCiphertextBytes = 6144;

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
  const { bytes, base64Characters } = await readCiphertext(request.input);
  try {
    const { start, whole } = await peek(bytes, formatPrefixBytes);
    if (start.length === 0) {
      throw new KmsPocError('NotCiphertext', 'There is no message to decrypt: the input is empty.');
    }
    const format = formatOf(start);
    if (format === undefined) {
      throw new KmsPocError(
        'NotCiphertext',
        'This is not an encrypted message, or its beginning is damaged.',
        'Copy all of it, as kms-encrypt printed it.',
      );
    }
    const decrypted = await (format === 'kms'
      ? decryptByKms(request, whole)
      : decryptEnvelope(request, whole));
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
  // All of it first: what is wrong with it comes before what is wrong with the keys.
  const { bytes, length } = await collect(ciphertext, maxKmsCiphertextBytes);
  if (bytes === undefined) {
    throw new KmsPocError(
      'NotCiphertext',
      `This is not an encrypted message: it does not begin as an AWS Encryption SDK message does, and with ${length} bytes it is longer than any of AWS KMS.`,
      'Copy all of it, as kms-encrypt printed it.',
    );
  }
  const awsKeys = keys.filter((key) => key.kind === 'aws');
  if (awsKeys.length === 0) {
    throw usageError(
      'This looks like a message of AWS KMS, and no key of AWS KMS is set.',
      'Set KEY_ID in .env or the environment, or name the key: --key alias/NAME, its id or ARN.',
    );
  }
  const ciphertextBase64 = Buffer.from(bytes).toString('base64');
  const failures: KmsPocError[] = [];
  // A blob doesn't tell us which key made it: if it is none, the first one's error explains most.
  for (const reference of awsKeys) {
    try {
      const { keyId, kms } = await openAwsKey(reference, sources);
      const { plaintext, keyArn } = await kms.decrypt(keyId, user, ciphertextBase64);
      if (reference !== keys[0]) onOtherKey(keyArn, failures);
      return { plaintext: streamOf(plaintext), format: 'kms', key: () => keyArn };
    } catch (error) {
      if (!(error instanceof KmsPocError)) throw error;
      failures.push(error);
    }
  }
  throw failures[0] ?? new Error('no key was tried');
}

async function decryptEnvelope(
  { user, keys, sources, outputHeldUntilEnd, onOtherKey }: DecryptRequest,
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

/**
 * The lengths at which a terminal cuts a pasted line that is read in its own line mode: on Linux
 * and on macOS.
 */
const cutPasteCharacters = [4095, 1024];

/** @returns the error, with the likely reason where a terminal cut the paste on its way here */
function asCutPaste(error: unknown, base64Characters: number | undefined): unknown {
  if (!(error instanceof KmsPocError) || error.status !== exitStatus.undecryptable) return error;
  if (base64Characters === undefined || !cutPasteCharacters.includes(base64Characters))
    return error;
  return new KmsPocError(
    'NotCiphertext',
    `This message is not complete: it has ${base64Characters} characters, which is where a terminal cuts a pasted line.`,
    'Paste it at the prompt of kms-decrypt, or put it in a file: --in FILE.',
    { cause: error },
  );
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
