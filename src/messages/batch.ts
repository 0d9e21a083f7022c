/**
 * `--batch`: JSON Lines in and out, one message on each line. Several lines are worked on at once,
 * in constant memory, and come out in order.
 *
 * A line that fails through its own fault (status 2 or 3) is replaced by an error. A failure that
 * would affect the next lines too (the service, a permission, the disk) ends the run.
 */
import { isUtf8 } from 'node:buffer';

import type { DataKeyLimits } from '../envelope/data-key-cache.ts';
import { mebibyte } from '../envelope/limits.ts';
import { type ExitStatus, exitStatus, KmsPocError, usageError } from '../errors.ts';
import {
  type Line,
  parseObject,
  readLines,
  replaceField,
  withoutFields,
} from '../formats/json-lines.ts';
import { jsonBase64, jsonString, maxDepth, type ObjectText } from '../formats/json-text.ts';
import type { EncryptionKeys } from '../keys/encryption-keys.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import {
  asBuffer,
  type ByteStream,
  collectAll,
  inLargePieces,
  streamOf,
} from '../streams/byte-stream.ts';
import { inOrder } from '../streams/in-order.ts';
import {
  ciphertextOf,
  errorLine,
  ourErrorOf,
  plaintextOf,
  refuseFailed,
  refuseFields,
  userOf,
  type Users,
} from './batch-lines.ts';
import { identify } from './ciphertext-input.ts';
import { requireKmsKeyFor } from './kms-blob.ts';
import { type Move, reencrypt, type Ways } from './reencrypt.ts';
import { wholeDecrypter, wholeEncrypter } from './whole-messages.ts';

/** A line, without its line break, is held in memory whole, several times over. */
const maxPlaintextLineBytes = 16 * mebibyte;
/**
 * Base64 makes four bytes out of three, so that whatever a plaintext line becomes can be decrypted.
 */
const maxCiphertextLineBytes = 24 * mebibyte;

/**
 * How many lines, and so calls to a key service, are in progress at once, and how much may be held
 * in memory.
 */
const inOrderLimits = { maxPending: 16, maxSize: mebibyte, maxCount: 1024 };

interface BatchOptions extends Users {
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
export function encryptBatch(options: BatchOptions, keys: EncryptionKeys, sign: boolean): Batch {
  const encrypt = wholeEncrypter(keys, sign, options.limits);
  return runBatch(options, { maxLineBytes: maxPlaintextLineBytes }, (object) => {
    const user = userOf(object, options);
    const { field, plaintext } = plaintextOf(object);
    refuseFields(object, ['ciphertext']);
    return async () => {
      const ciphertext = await encrypt(user, plaintext);
      return replaceField(object, field, 'ciphertext', jsonBase64(ciphertext));
    };
  });
}

/** @param keys the keys that may be used, and no others, in the order to try them */
export function decryptBatch(
  options: BatchOptions,
  keys: readonly KeyReference[],
  sources: KeySources,
  requireSigned: boolean,
): Batch {
  const decrypt = wholeDecrypter(keys, sources, requireSigned, options.limits);
  return runBatch(options, { maxLineBytes: maxCiphertextLineBytes }, async (object) => {
    refuseFailed(object);
    const user = userOf(object, options);
    const { field, ciphertext } = await ciphertextOf(object);
    refuseFields(object, ['message', 'messageBase64']);
    requireKmsKeyFor(ciphertext, keys);
    return async () => {
      const plaintext = await decrypt(user, ciphertext);
      return isUtf8(plaintext)
        ? replaceField(object, field, 'message', jsonString(plaintext))
        : replaceField(object, field, 'messageBase64', jsonBase64(plaintext));
    };
  });
}

/**
 * A line that fails keeps its ciphertext, with the error beside it, because the output may replace
 * the input. A line that is not an object has no place for an error, so it ends the run.
 *
 * @param options.prove whether each new ciphertext is opened before it comes out
 */
export function reencryptBatch(
  options: BatchOptions & { readonly prove: boolean },
  move: Move,
): Batch {
  const ways = wholeWays(move, options.limits);
  const rules = { maxLineBytes: maxCiphertextLineBytes, failedLineIsKept: true };
  return runBatch(options, rules, async (object) => {
    refuseFailed(object);
    const user = userOf(object, options);
    const { field, ciphertext } = await ciphertextOf(object);
    const found = await identify(streamOf(ciphertext));
    requireKmsKeyFor(ciphertext, move.oldKeys);
    return async () => {
      const reencrypted = await reencrypt(move, ways, user, found);
      const bytes = await collectAll(reencrypted.ciphertext);
      if (options.prove) await reencrypted.prove(streamOf(bytes));
      const value = jsonBase64(bytes);
      return ourErrorOf(object) !== undefined
        ? withoutFields(object, ['ciphertext', 'error'], 'ciphertext', value)
        : replaceField(object, field, 'ciphertext', value);
    };
  });
}

function wholeWays(move: Move, limits?: DataKeyLimits): Ways<{ ciphertext: ByteStream }> {
  const { oldKeys, newKeys, encryptionKeys, sign, requireSigned, decryptor } = move;
  const open = wholeDecrypter(oldKeys, decryptor, requireSigned, limits);
  const encrypt = wholeEncrypter(encryptionKeys, sign, limits);
  const reopen = wholeDecrypter([...newKeys, ...oldKeys], decryptor, requireSigned, limits);
  const collected = async (stream: ByteStream): Promise<Buffer> =>
    asBuffer(await collectAll(stream));
  return {
    open: async (user, { ciphertext }) => streamOf(await open(user, await collected(ciphertext))),
    encrypt: async (user, plaintext) => ({
      ciphertext: streamOf(await encrypt(user, await collected(plaintext))),
    }),
    reopen: async (user, written) => streamOf(await reopen(user, await collected(written))),
  };
}

interface LineRules {
  readonly maxLineBytes: number;
  /**
   * Otherwise the line loses its ciphertext and its message, which is never put beside an error.
   */
  readonly failedLineIsKept?: boolean;
}

/** The rest of the work on a line; its text in pieces. */
type Work = () => Promise<Iterable<Buffer>>;

/**
 * @param read takes from a line what it needs. What it throws is the line's fault; after that, only
 *   a ciphertext that can't be decrypted is: settings that are wrong are wrong for every line.
 */
function runBatch(
  { input }: BatchOptions,
  { maxLineBytes, failedLineIsKept = false }: LineRules,
  read: (object: ObjectText) => Work | Promise<Work>,
): Batch {
  const counts: Batch['counts'] = { lines: 0, failed: 0, worstStatus: exitStatus.ok };

  const work = async ({ number, bytes }: Line): Promise<Result> => {
    let object: ObjectText | undefined;
    let isRead = false;
    try {
      if (bytes === undefined) throw lineTooLong(number, maxLineBytes);
      object = parseObject(bytes);
      if (object === undefined) throw notAnObject(number);
      const finish = await read(object);
      isRead = true;
      return { pieces: await finish(), status: exitStatus.ok };
    } catch (error) {
      if (!(error instanceof KmsPocError)) throw error;
      const { status } = error;
      const isOfLine =
        status === exitStatus.undecryptable || (status === exitStatus.usage && !isRead);
      if (!isOfLine) throw error;
      if (failedLineIsKept && object === undefined) throw endedBy(error);
      const without = failedLineIsKept ? [] : (['message', 'messageBase64', 'ciphertext'] as const);
      return { pieces: errorLine(object, error, without), status };
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
      yield* inLargePieces(textOf(results));
    }
  }
  return { output: output(), counts };
}

interface Result {
  readonly pieces: Iterable<Buffer>;
  readonly status: ExitStatus;
}

function* textOf(results: readonly Result[]): Generator<Buffer> {
  for (const { pieces } of results) {
    yield* pieces;
    yield lineBreak;
  }
}

const lineBreak = Buffer.from('\n');

const lineTooLong = (number: number, maxBytes: number): KmsPocError =>
  usageError(
    `Line ${number} is longer than ${maxBytes / mebibyte} MiB.`,
    'Put a message of that size in a file of its own: --in FILE, without --batch.',
  );

const notAnObject = (number: number): KmsPocError =>
  usageError(
    `Line ${number} is not a JSON object.`,
    `Each line must be one, in UTF-8 and not nested more than ${maxDepth} levels deep, with "user" and "message", or "user" and "ciphertext".`,
  );

const endedBy = (error: KmsPocError): KmsPocError =>
  usageError(`${error.message} It and all lines after it were not moved.`, error.hint ?? '', {
    cause: error,
  });
