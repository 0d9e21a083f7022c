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
import { decryptWhole, encryptWhole, isPlainFramed } from '../envelope/whole-message.ts';
import { type ExitStatus, exitStatus, KmsPocError, usageError } from '../errors.ts';
import { readCiphertext } from '../formats/base64.ts';
import { type ByteStream, collectAll, decodeUtf8, streamOf } from '../formats/byte-stream.ts';
import { formatOf } from '../formats/ciphertext-format.ts';
import {
  type Field,
  findFields,
  type Line,
  type ObjectText,
  parseObject,
  readLines,
  replaceField,
  withoutFields,
} from '../formats/json-lines.ts';
import { unwrappingKey } from '../keys/decryption-keys.ts';
import { type EncryptionKeys, loadWrappingKeys } from '../keys/encryption-keys.ts';
import { decryptByKms, type DecryptRequest } from './decrypt.ts';
import { inOrder } from './in-order.ts';

const mebibyte = 2 ** 20;

/** A line, without its line break, is held in memory whole, several times over. */
export const maxPlaintextLineBytes = 16 * mebibyte;
/** Base64 makes four bytes of three: whatever a plaintext line becomes can be decrypted. */
export const maxCiphertextLineBytes = 24 * mebibyte;

/** Lines, and so calls of a key's service, at once; and what else waits in memory. */
const inOrderLimits = { maxPending: 16, maxSize: mebibyte, maxCount: 1024 };

export interface BatchOptions {
  readonly input: ByteStream;
  /** For the lines that name none. */
  readonly defaultUser: string | undefined;
  /** @throws KmsPocError Usage, for one who may not be named */
  readonly checkUser: (user: string) => void;
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
  const { keys, limits = dataKeyLimits } = options;
  const dataKeys = once(async () =>
    cachedDataKeys(encryptionMaterials(await loadWrappingKeys(keys)), limits),
  );
  return runBatch(options, maxPlaintextLineBytes, async (object) => {
    const user = userOf(object, options);
    const { field, plaintext } = plaintextOf(object);
    refuseFields(object, ['ciphertext']);
    const dataKeyFor = await dataKeys();
    const ciphertext = encryptWhole(await dataKeyFor(user, plaintext.length), plaintext);
    return replaceField(object, field, 'ciphertext', ciphertext.toString('base64'));
  });
}

export function decryptBatch(
  options: BatchOptions & Pick<DecryptRequest, 'keys' | 'sources' | 'onOtherKey'>,
): Batch {
  const { keys, sources, onOtherKey, limits = dataKeyLimits } = options;
  // Opened once for all lines: a key's file need not be read, nor its passphrase asked, again.
  const unwrappingKeys = keys.map((reference) => {
    const key = unwrappingKey(reference, sources);
    return { ...key, open: once(() => key.open()) };
  });
  const materialsFor = cachedUnwrapping(unwrappingKeys, onOtherKey, limits);

  const decryptEnvelope = async (user: string, ciphertext: Buffer): Promise<Uint8Array> => {
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
  const decryptBlob = async (user: string, ciphertext: Buffer): Promise<Uint8Array> => {
    const request = { user, keys, sources, onOtherKey };
    return collectAll((await decryptByKms(request, streamOf(ciphertext))).plaintext);
  };

  return runBatch(options, maxCiphertextLineBytes, async (object) => {
    const user = userOf(object, options);
    const { field, ciphertext } = await ciphertextOf(object);
    refuseFields(object, ['message', 'messageBase64']);
    const plaintext = await (formatOf(ciphertext) === 'kms'
      ? decryptBlob(user, ciphertext)
      : decryptEnvelope(user, ciphertext));
    const text = decodeUtf8(plaintext);
    return text === undefined
      ? replaceField(object, field, 'messageBase64', asBuffer(plaintext).toString('base64'))
      : replaceField(object, field, 'message', text);
  });
}

function runBatch(
  { input }: BatchOptions,
  maxLineBytes: number,
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
      return { text: errorLine(object, error), status: error.status };
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

/** Never the message, nor the ciphertext that is no use; an `error` that was there gives way. */
const errorLine = (object: ObjectText | undefined, error: KmsPocError): string => {
  const { code, message, hint } = error;
  return withoutFields(object, ['message', 'messageBase64', 'ciphertext', 'error'], {
    name: 'error',
    value: { code, message, ...(hint !== undefined && { hint }) },
  });
};

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

/** @throws KmsPocError Usage: the field is there twice, so which one is meant is anyone's guess */
function fieldOf(object: ObjectText, name: string): Field | undefined {
  const fields = findFields(object, name);
  if (fields.length > 1) throw usageError(`This line has the field ${name} more than once.`);
  return fields[0];
}

function userOf(object: ObjectText, { defaultUser, checkUser }: BatchOptions): string {
  if (fieldOf(object, 'user') === undefined) {
    if (defaultUser !== undefined) return defaultUser;
    throw usageError(
      'This line names no user.',
      'Add "user" to it, or name one for all such lines: --user NAME.',
    );
  }
  const { user } = object.value;
  if (typeof user !== 'string') throw usageError('The user of this line is not a text.');
  checkUser(user);
  return user;
}

function plaintextOf(object: ObjectText): { field: Field; plaintext: Buffer } {
  const asText = fieldOf(object, 'message');
  const asBase64 = fieldOf(object, 'messageBase64');
  const { message, messageBase64 } = object.value;
  if (asText !== undefined && asBase64 === undefined) {
    // Half of a surrogate pair can't be encoded: the bytes of a replacement character would come back.
    if (typeof message === 'string' && !/\p{Surrogate}/u.test(message)) {
      return { field: asText, plaintext: Buffer.from(message, 'utf8') };
    }
    throw usageError('The message of this line is not a text.', howToGiveBytes);
  }
  if (asBase64 !== undefined && asText === undefined) {
    const plaintext = typeof messageBase64 === 'string' ? exactBase64(messageBase64) : undefined;
    if (plaintext !== undefined) return { field: asBase64, plaintext };
    throw usageError('The messageBase64 of this line is not base64.', howToGiveBytes);
  }
  throw usageError(
    asText === undefined
      ? 'This line has no message.'
      : 'This line has two messages: message and messageBase64.',
    'Each line has one of the two.',
  );
}

const howToGiveBytes =
  'A text goes in "message"; other bytes go in "messageBase64", as base64 with its padding.';

async function ciphertextOf(object: ObjectText): Promise<{ field: Field; ciphertext: Buffer }> {
  const field = fieldOf(object, 'ciphertext');
  const { ciphertext } = object.value;
  if (field === undefined) {
    throw usageError('This line has no ciphertext.', 'It goes in the field "ciphertext".');
  }
  if (typeof ciphertext !== 'string')
    throw usageError('The ciphertext of this line is not a text.');
  const bytes =
    exactBase64(ciphertext) ??
    // As people really paste it, or wrong: this says what.
    asBuffer(await collectAll((await readCiphertext(streamOf(Buffer.from(ciphertext)))).bytes));
  if (bytes.length === 0) {
    throw new KmsPocError('NotCiphertext', 'The ciphertext of this line is empty.');
  }
  return { field, ciphertext: bytes };
}

/** The result would have two fields of one name, or a message that was never decrypted. */
function refuseFields(object: ObjectText, names: readonly string[]): void {
  const found = names.find((name) => findFields(object, name).length > 0);
  if (found === undefined) return;
  throw usageError(
    `This line has the field ${found} already.`,
    'That is where the result goes: take it out, or give it another name.',
  );
}

/** @returns undefined for what is not base64 as it is written: on one line, padded */
function exactBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Calls once, at the first need; all get the same answer, or the same error. */
function once<Result>(action: () => Promise<Result>): () => Promise<Result> {
  let result: Promise<Result> | undefined;
  return () => (result ??= action());
}
