/**
 * `--batch`: JSON Lines in and out, one message on each line. Lines are worked on several at once,
 * in constant memory, and come out in their order.
 *
 * A line that fails by its own fault (status 2 or 3) becomes an error in its place. What would fail
 * the next lines too (the service, the permission, the disk) ends the run.
 */
import {
  cachedDataKeys,
  cachedUnwrapping,
  type DataKeyLimits,
  dataKeyLimits,
} from '../envelope/data-key-cache.ts';
import { decryptMessage, requireUser } from '../envelope/decrypt.ts';
import { encryptionMaterials } from '../envelope/encrypt.ts';
import { parseHeader } from '../envelope/header.ts';
import { mebibyte } from '../envelope/limits.ts';
import { decryptWhole, encryptWhole, isPlainFramed } from '../envelope/whole-message.ts';
import { type ExitStatus, exitStatus, isErrorCode, KmsPocError, usageError } from '../errors.ts';
import {
  asBuffer,
  type ByteStream,
  collectAll,
  decodeUtf8,
  streamOf,
} from '../streams/byte-stream.ts';
import { formatOf } from '../formats/ciphertext-format.ts';
import {
  type Line,
  type ObjectText,
  parseObject,
  readLines,
  replaceField,
  withoutFields,
} from '../formats/json-lines.ts';
import { unwrappingKey } from '../keys/decryption-keys.ts';
import { type EncryptionKeys, loadWrappingKeys } from '../keys/encryption-keys.ts';
import {
  ciphertextOf,
  errorLine,
  plaintextOf,
  refuseFields,
  userOf,
  type Users,
} from './batch-lines.ts';
import { decryptByKms, type DecryptRequest } from './decrypt.ts';
import { collectKmsBlob } from './ciphertext-input.ts';
import { inOrder } from '../streams/in-order.ts';
import { type Move, moveOrOpenBlob, otherMessage } from './reencrypt.ts';

/** A line, without its line break, is held in memory whole, several times over. */
const maxPlaintextLineBytes = 16 * mebibyte;
/** Base64 makes four bytes of three: whatever a plaintext line becomes can be decrypted. */
const maxCiphertextLineBytes = 24 * mebibyte;

/** Lines, and so calls of a key's service, at once; and what else waits in memory. */
const inOrderLimits = { maxPending: 16, maxSize: mebibyte, maxCount: 1024 };

export interface BatchOptions extends Users {
  readonly input: ByteStream;
  /** For tests. */
  readonly limits?: DataKeyLimits;
}

export interface Batch {
  readonly output: ByteStream;
  /** Counted as the output is read. */
  readonly counts: { lines: number; failed: number; worstStatus: ExitStatus };
}

/**
 * @param keys each of them can open the messages; loaded when there is the first one
 */
export function encryptBatch(options: BatchOptions & { readonly keys: EncryptionKeys }): Batch {
  const encrypt = messageEncrypter(options.keys, options.limits);
  return runBatch(options, { maxLineBytes: maxPlaintextLineBytes }, async (object) => {
    const user = userOf(object, options);
    const { field, plaintext } = plaintextOf(object);
    refuseFields(object, ['ciphertext']);
    const ciphertext = await encrypt(user, plaintext);
    return replaceField(object, field, 'ciphertext', ciphertext.toString('base64'));
  });
}

type OpenOptions = Pick<DecryptRequest, 'keys' | 'sources' | 'onOtherKey'>;

export function decryptBatch(options: BatchOptions & OpenOptions): Batch {
  const openMessage = messageOpener(options, options.limits);
  const openBlob = async (user: string, ciphertext: Buffer): Promise<Uint8Array> =>
    collectAll((await decryptByKms({ ...options, user }, streamOf(ciphertext))).plaintext);
  return runBatch(options, { maxLineBytes: maxCiphertextLineBytes }, async (object) => {
    const user = userOf(object, options);
    const { field, ciphertext } = await ciphertextOf(object);
    refuseFields(object, ['message', 'messageBase64']);
    const plaintext = await (formatOf(ciphertext) === 'kms'
      ? openBlob(user, ciphertext)
      : openMessage(user, ciphertext));
    const text = decodeUtf8(plaintext);
    return text === undefined
      ? replaceField(object, field, 'messageBase64', asBuffer(plaintext).toString('base64'))
      : replaceField(object, field, 'message', text);
  });
}

/**
 * A line that fails keeps its ciphertext, with the error beside it: the output may take the place
 * of the input. A line that is no object has no place for an error, so it ends the run.
 *
 * @param options.prove whether each new ciphertext is opened before it comes out
 */
export function reencryptBatch(options: BatchOptions & Move & { readonly prove: boolean }): Batch {
  const { oldKeys, newKeys, encryptionKeys, decryptor: sources, prove, limits } = options;
  const onOtherKey = (): void => undefined; // what a message is moved for
  const open = messageOpener({ keys: oldKeys, sources, onOtherKey }, limits);
  const encrypt = messageEncrypter(encryptionKeys, limits);
  const proofOf = messageOpener({ keys: [...newKeys, ...oldKeys], sources, onOtherKey }, limits);

  const reencrypt = async (user: string, ciphertext: Buffer): Promise<string> => {
    let plaintext: Uint8Array;
    if (formatOf(ciphertext) === 'kms') {
      const opened = await moveOrOpenBlob(
        options,
        user,
        await collectKmsBlob(streamOf(ciphertext)),
      );
      if ('prove' in opened) {
        if (prove) await opened.prove(opened.blob);
        return opened.blob.toString('base64');
      }
      ({ plaintext } = opened);
    } else {
      plaintext = await open(user, ciphertext);
    }
    const encrypted = await encrypt(user, plaintext);
    if (prove && !asBuffer(plaintext).equals(await proofOf(user, encrypted))) throw otherMessage();
    return encrypted.toString('base64');
  };
  const rules = { maxLineBytes: maxCiphertextLineBytes, failedLineIsKept: true };
  return runBatch(options, rules, async (object) => {
    const user = userOf(object, options);
    const { field, ciphertext } = await ciphertextOf(object);
    const value = await reencrypt(user, ciphertext);
    return hasOurError(object)
      ? withoutFields(object, ['ciphertext', 'error'], { name: 'ciphertext', value })
      : replaceField(object, field, 'ciphertext', value);
  });
}

/** Whether the line failed in a run before: its error would contradict the new ciphertext. */
const hasOurError = ({ value: { error } }: ObjectText): boolean =>
  typeof error === 'object' &&
  error !== null &&
  'code' in error &&
  'message' in error &&
  isErrorCode(error.code);

/** Encrypts messages that are in memory whole, under data keys that serve many of a user. */
function messageEncrypter(
  keys: EncryptionKeys,
  limits = dataKeyLimits,
): (user: string, plaintext: Uint8Array) => Promise<Buffer> {
  const dataKeys = once(async () =>
    cachedDataKeys(encryptionMaterials(await loadWrappingKeys(keys)), limits),
  );
  return async (user, plaintext) => {
    const dataKeyFor = await dataKeys();
    return encryptWhole(await dataKeyFor(user, plaintext.length), plaintext);
  };
}

/** Opens AWS Encryption SDK messages that are in memory whole. */
function messageOpener(
  { keys, sources, onOtherKey }: OpenOptions,
  limits = dataKeyLimits,
): (user: string, ciphertext: Buffer) => Promise<Uint8Array> {
  // Opened once for all lines: a key's file need not be read, nor its passphrase asked, again.
  const unwrappingKeys = keys.map((reference) => {
    const key = unwrappingKey(reference, sources);
    return { ...key, open: once(() => key.open()) };
  });
  const materialsFor = cachedUnwrapping(unwrappingKeys, onOtherKey, limits);
  return async (user, ciphertext) => {
    const header = parseHeader(ciphertext);
    if (header !== undefined && isPlainFramed(header)) {
      requireUser(header.encryptionContext, user);
      const plaintext = decryptWhole(header, await materialsFor(header), ciphertext);
      if (plaintext !== undefined) return plaintext;
    }
    // Signed, of another layout, or not sound: then this says what it is.
    return collectAll(
      decryptMessage({
        keys: unwrappingKeys,
        user,
        ciphertext: streamOf(ciphertext),
        outputHeldUntilEnd: true,
        onOpened: ({ key, isFirst, failures }) => {
          if (!isFirst) onOtherKey(key.name, failures);
        },
      }),
    );
  };
}

interface LineRules {
  readonly maxLineBytes: number;
  /** Else it goes without the message, which is never beside an error, and the ciphertext. */
  readonly failedLineIsKept?: boolean;
}

function runBatch(
  { input }: BatchOptions,
  { maxLineBytes, failedLineIsKept = false }: LineRules,
  workOn: (object: ObjectText) => Promise<string>,
): Batch {
  const counts: Batch['counts'] = { lines: 0, failed: 0, worstStatus: exitStatus.ok };

  const work = async ({ number, bytes }: Line): Promise<{ text: string; status: ExitStatus }> => {
    let object: ObjectText | undefined;
    try {
      if (bytes === undefined) throw lineTooLong(number, maxLineBytes);
      object = parseObject(bytes);
      if (object === undefined) throw notAnObject(number);
      return { text: await workOn(object), status: exitStatus.ok };
    } catch (error) {
      if (!(error instanceof KmsPocError) || !isLineStatus(error.status)) throw error;
      if (failedLineIsKept && object === undefined) throw error;
      const without = failedLineIsKept ? [] : ['message', 'messageBase64', 'ciphertext'];
      return { text: errorLine(object, error, without), status: error.status };
    }
  };

  async function* output(): AsyncGenerator<Uint8Array> {
    const lines = readLines(input, maxLineBytes);
    const sizeOf = ({ bytes }: Line): number => bytes?.length ?? 0;
    for await (const results of inOrder(lines, work, sizeOf, inOrderLimits)) {
      for (const { status } of results) {
        counts.lines += 1;
        if (status === exitStatus.ok) continue;
        counts.failed += 1;
        if (status > counts.worstStatus) counts.worstStatus = status;
      }
      yield Buffer.from(results.map(({ text }) => `${text}\n`).join(''));
    }
  }
  return { output: output(), counts };
}

const isLineStatus = (status: ExitStatus): boolean =>
  status === exitStatus.usage || status === exitStatus.undecryptable;

const lineTooLong = (number: number, maxBytes: number): KmsPocError =>
  usageError(
    `Line ${number} is longer than ${maxBytes / mebibyte} MiB.`,
    'A message of any size can be a file of its own: --in FILE, without --batch.',
  );

const notAnObject = (number: number): KmsPocError =>
  usageError(
    `Line ${number} is not a JSON object.`,
    'Each line holds one, in UTF-8, with "user" and "message", or "ciphertext" to decrypt.',
  );

/** Calls once, at the first need; all get the same answer, or the same error. */
function once<Result>(action: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined;
  return () => (result ??= action());
}
