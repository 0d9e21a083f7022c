/** Reads AWS Encryption SDK messages. */
import { buildDecrypt } from '@aws-crypto/decrypt-node';
import {
  CommitmentPolicy,
  NodeAlgorithmSuite,
  type NodeDecryptionMaterial,
  NodeDefaultCryptographicMaterialsManager,
  type NodeMaterialsManager,
} from '@aws-crypto/material-management-node';
import { KmsPocError, usageError } from '../errors.ts';
import { isUserName } from '../formats/user-name.ts';
import { byteReader } from '../streams/byte-reader.ts';
import { bodyPieces, type BodySize, requireBodyLength, requireFrameLength } from './frames.ts';
import { printableKeys, readHeader, type EnvelopeHeader } from './header.ts';
import { maxEncryptedDataKeys, maxUnverifiedBytes, mebibyte } from './limits.ts';
import { joinSmall, throughStream } from './through-stream.ts';
import type { UnwrappingKey, WrappingKey } from './wrapping-key.ts';

export interface DecryptMessageOptions {
  /** The keys that may open the message, in the order in which they are tried. */
  keys: readonly UnwrappingKey[];
  /** The message must be for this user: its encryption context must be exactly `{ user }`. */
  user: string;
  ciphertext: AsyncIterable<Uint8Array>;
  /**
   * True if the caller shows the output to nobody before the generator has ended without an error
   * (a temporary file, renamed at the end). A signed message can then be of any size.
   */
  outputHeldUntilEnd: boolean;
  /** Called once, when the header is genuine and before the first byte comes out. */
  onOpened?: (opened: Opened & { header: EnvelopeHeader }) => void;
}

export interface Opened {
  key: WrappingKey;
  isFirst: boolean;
  /** What the services of keys before it said, if they were asked. */
  failures: readonly KmsPocError[];
}

const { decryptStream } = buildDecrypt({
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys,
});

/**
 * Decrypts one message.
 *
 * What comes out is verified, frame by frame; when something further on is cut or changed, the
 * frames before it are out by then and the generator throws. Of a message of one frame nothing
 * comes out before all of it is known to be good.
 *
 * @returns the plaintext
 * @throws KmsPocError WrongUser, WrongKey, NotCiphertext, Unsupported, CannotDecrypt; Usage for a
 *   signed message that doesn't fit in memory; what the ciphertext's source or a key throws
 */
export async function* decryptMessage(options: DecryptMessageOptions): AsyncGenerator<Uint8Array> {
  const { keys, user, ciphertext, outputHeldUntilEnd, onOpened } = options;
  const reader = byteReader(ciphertext);
  try {
    const header = await readHeader(reader);
    requireCommitment(header);
    requireFrameLength(header);
    requireUser(header.encryptionContext, user);
    // Before the library starts: what a key's service says would be one of several errors that
    // the library's streams emit then, in no sure order.
    const { materials, ...opened } = await unwrapDataKey(keys, header);

    const stream = decryptStream(onlyThese(materials, user), { maxBodySize: maxUnverifiedBytes });
    const headerVerified = new Promise((resolve, reject) => {
      stream.once('MessageHeader', resolve);
      stream.once('error', reject);
    });
    // Nobody waits for it any more when the reader of the output has gone.
    headerVerified.catch(() => undefined);
    async function* headerThenBody(): AsyncGenerator<Buffer> {
      yield await reader.readExactly(header.headerLength);
      // The lengths in the header mean nothing before.
      await headerVerified.catch((error: unknown) => {
        throw cannotDecrypt(error);
      });
      onOpened?.({ header, ...opened });
      yield* bodyPieces(reader, header, cannotDecrypt);
    }
    const plaintext = joinSmall(throughStream(headerThenBody(), stream, cannotDecrypt));
    if (header.signed && !outputHeldUntilEnd) yield* collectSigned(plaintext);
    else yield* plaintext;
  } finally {
    reader.close();
  }
}

/** Everything that can go wrong in the cryptography is one error with one text: no oracle. */
export const cannotDecrypt = (cause: unknown): KmsPocError =>
  new KmsPocError(
    'CannotDecrypt',
    'The ciphertext was changed or damaged: it can not be decrypted.',
    'Copy or download it again, whole; or go back to an older copy.',
    { cause },
  );

const requireCommitment = (header: EnvelopeHeader): void => {
  if (header.committing) return;
  throw new KmsPocError(
    'Unsupported',
    `This message was written without key commitment (${header.suiteName}), and is not read.`,
    'Encrypt it again with the AWS Encryption SDK 2.0 or newer, with its commitment policy as it is by default.',
  );
};

/**
 * The library takes any encryption context that the header holds: comparing it is our part. Its
 * own fields begin with `aws-crypto-`, a prefix that is reserved for it.
 */
export const requireUser = (
  encryptionContext: Readonly<Record<string, string>>,
  user: string,
): void => {
  const names = Object.keys(encryptionContext).filter((name) => !name.startsWith('aws-crypto-'));
  const { user: other } = encryptionContext;
  if (names.length === 1 && other === user) return;

  if (other === undefined) {
    throw new KmsPocError(
      'WrongUser',
      'This message names no user in its encryption context, so it is nobody’s here.',
      'Open it with the tool that wrote it.',
    );
  }
  if (other === user) {
    throw new KmsPocError(
      'WrongUser',
      `This message is for ${user}, but its encryption context holds more than the user.`,
      'Open it with the tool that wrote it.',
    );
  }
  throw new KmsPocError(
    'WrongUser',
    // A header may hold anything.
    isUserName(other)
      ? `This message is for ${other}, not for ${user}.`
      : `This message is not for ${user}.`,
    'Only the user whom a message was encrypted for can decrypt it.',
  );
};

const requireAnyUser = ({ encryptionContext }: EnvelopeHeader): void => {
  const { user } = encryptionContext;
  if (user !== undefined && !isUserName(user)) {
    throw new KmsPocError(
      'WrongUser',
      'This message is for a user whose name --user does not take.',
      'Open it with the tool that wrote it.',
    );
  }
  requireUser(encryptionContext, user ?? '');
};

const requireUnframedLength = ({ contentType }: EnvelopeHeader, body: BodySize): void => {
  if (contentType === 'single-block') requireBodyLength({ contentLength: body.plaintextBytes });
};

/**
 * What `decryptMessage` refuses a message for, whichever user and keys are given.
 *
 * @param body as its frames announce it
 */
export const refusalsOf = (header: EnvelopeHeader, body: BodySize): KmsPocError[] =>
  [requireCommitment, requireFrameLength, requireAnyUser, requireUnframedLength].flatMap(
    (requirement) => {
      try {
        requirement(header, body);
        return [];
      } catch (error) {
        if (error instanceof KmsPocError) return [error];
        throw error;
      }
    },
  );

/**
 * Asks the keys that the header names, and no others, for the message's data key.
 *
 * @throws KmsPocError WrongKey if none is named; what the keys' services said, with the code of the
 *   first; CannotDecrypt; Interrupted at a passphrase, at once
 */
export const unwrapDataKey = async (
  keys: readonly UnwrappingKey[],
  header: EnvelopeHeader,
): Promise<Opened & { materials: NodeDecryptionMaterial }> => {
  const dataKeys = header.encryptedDataKeys;
  const otherKeys: string[] = [];
  const failures: KmsPocError[] = [];
  let badDataKey: { error: unknown } | undefined;
  let onlyWraps: KmsPocError | undefined;
  for (const configured of keys) {
    if (!dataKeys.some((dataKey) => configured.mayBeNamedBy(dataKey))) {
      otherKeys.push(configured.name);
      continue;
    }
    try {
      const key = await configured.open();
      if (!dataKeys.some((dataKey) => key.isNamedBy(dataKey))) {
        // As the settings have it, an alias or a file, and which key that turned out to be.
        const { name } = configured;
        otherKeys.push(name === key.name ? name : `${name} (${key.name})`);
        continue;
      }
      if (key.onlyWraps !== undefined) {
        onlyWraps ??= key.onlyWraps;
        continue;
      }
      const materials = await unwrapWith(key, header);
      return { materials, key, isFirst: configured === keys[0], failures };
    } catch (error) {
      // This key can't be had, or doesn't unwrap: another one may.
      if (!(error instanceof KmsPocError)) badDataKey ??= { error };
      else if (error.code === 'Interrupted') throw error;
      else failures.push(error);
    }
  }
  const [first, ...others] = failures;
  if (first !== undefined) {
    if (onlyWraps !== undefined) others.push(onlyWraps);
    throw others.length === 0 ? first : allOf(first, others);
  }
  if (badDataKey !== undefined) throw cannotDecrypt(badDataKey.error);
  // A public key among the settings is no reason to fetch its private half from the safe.
  throw otherKeys.length === 0 && onlyWraps !== undefined
    ? onlyWraps
    : wrongKey(otherKeys, onlyWraps, header);
};

/** Each key that failed is a way in that someone may be able to mend. */
const allOf = (first: KmsPocError, others: readonly KmsPocError[]): KmsPocError => {
  const messages = new Set([first, ...others].map(({ message }) => message));
  return new KmsPocError(first.code, [...messages].join(' '), first.hint, { cause: first });
};

const unwrapWith = (key: WrappingKey, header: EnvelopeHeader): Promise<NodeDecryptionMaterial> => {
  const { encryptionContext, encryptedDataKeys, suiteId } = header.info.messageHeader;
  const suite = new NodeAlgorithmSuite(suiteId);
  const manager = new NodeDefaultCryptographicMaterialsManager(key.keyring);
  return manager.decryptMaterials({ suite, encryptionContext, encryptedDataKeys });
};

/** Hands out the materials at hand, after a look at what the library read and will authenticate. */
const onlyThese = (materials: NodeDecryptionMaterial, user: string): NodeMaterialsManager => ({
  getEncryptionMaterials: () => Promise.reject(new Error('these materials only decrypt')),
  decryptMaterials: ({ encryptionContext }) => {
    requireUser(encryptionContext, user);
    return Promise.resolve(materials);
  },
});

const wrongKey = (
  keyNames: readonly string[],
  onlyWraps: KmsPocError | undefined,
  header: EnvelopeHeader,
): KmsPocError =>
  new KmsPocError(
    'WrongKey',
    `This message opens with ${printableKeys(header.encryptedDataKeys)}, and not with ${keyNames.join(', ')}.${onlyWraps === undefined ? '' : ` ${onlyWraps.message}`}`,
    'Name its key with --key, or add it to DECRYPT_KEYS.',
  );

/** A signature stands at the end, and nothing may be shown before it is verified. */
async function* collectSigned(plaintext: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of plaintext) {
    length += piece.length;
    if (length > maxUnverifiedBytes) {
      throw usageError(
        `This message is signed and longer than ${maxUnverifiedBytes / mebibyte} MiB: nothing of it can be shown before its end is verified.`,
        'Decrypt it into a file with --out.',
      );
    }
    pieces.push(piece);
  }
  yield* pieces;
}
