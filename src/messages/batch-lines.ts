/**
 * The fields of a batch's lines: who the message is for, the message, the ciphertext, the error.
 */
import { exitStatus, isErrorCode, KmsPocError, usageError } from '../errors.ts';
import { userNameRule } from '../formats/user-name.ts';
import { exactBase64 } from '../formats/base64.ts';
import { isEnvelope } from '../formats/ciphertext-format.ts';
import { asBuffer, collectAll, streamOf } from '../streams/byte-stream.ts';
import { type FieldName, findFields, withoutFields } from '../formats/json-lines.ts';
import { type Field, type ObjectText, stringOf } from '../formats/json-text.ts';
import { decodeCiphertext } from './pasted-ciphertext.ts';

export interface Users {
  /** For lines that name no user. */
  readonly defaultUser: string | undefined;
  /** @throws KmsPocError Usage, for a user who is not allowed */
  readonly checkUser: (user: string) => void;
}

/** @throws KmsPocError Usage, if the field occurs twice, since either could be meant */
function fieldOf(object: ObjectText, name: FieldName): Field | undefined {
  const fields = findFields(object, name);
  if (fields.length > 1) {
    throw usageError(`This line has the field ${name} more than once.`, 'Keep one of them.');
  }
  return fields[0];
}

/** @throws KmsPocError Usage */
export function userOf(object: ObjectText, { defaultUser, checkUser }: Users): string {
  const field = fieldOf(object, 'user');
  if (field === undefined) {
    if (defaultUser !== undefined) return defaultUser;
    throw usageError(
      'This line names no user.',
      'Add "user" to it, or use --user NAME for all such lines.',
    );
  }
  const user = stringOf(object, field)?.toString('utf8');
  if (user === undefined) {
    throw usageError('The user of this line is not a string.', `${userNameRule}.`);
  }
  checkUser(user);
  return user;
}

/** @throws KmsPocError Usage */
export function plaintextOf(object: ObjectText): { field: Field; plaintext: Buffer } {
  const asText = fieldOf(object, 'message');
  const asBase64 = fieldOf(object, 'messageBase64');
  if (asText !== undefined && asBase64 === undefined) {
    const plaintext = stringOf(object, asText);
    if (plaintext !== undefined) return { field: asText, plaintext };
    throw usageError('The message of this line is not a string of valid Unicode.', howToGiveBytes);
  }
  if (asBase64 !== undefined && asText === undefined) {
    const text = stringOf(object, asBase64);
    const plaintext = text && exactBase64(text);
    if (plaintext !== undefined) return { field: asBase64, plaintext };
    throw usageError('The messageBase64 of this line is not valid base64.', howToGiveBytes);
  }
  throw usageError(
    asText === undefined
      ? 'This line has no message.'
      : 'This line has both message and messageBase64.',
    'Each line needs either message or messageBase64.',
  );
}

const howToGiveBytes =
  'Put text in "message"; put other bytes in "messageBase64", as base64 with padding.';

/** @throws KmsPocError Usage, NotCiphertext */
export async function ciphertextOf(
  object: ObjectText,
): Promise<{ field: Field; ciphertext: Buffer }> {
  const field = fieldOf(object, 'ciphertext');
  if (field === undefined) {
    throw usageError('This line has no ciphertext.', 'Put it in the field "ciphertext".');
  }
  const text = stringOf(object, field);
  if (text === undefined) {
    throw usageError('The ciphertext of this line is not a string.', 'Put it there as base64.');
  }
  const exact = exactBase64(text);
  const bytes =
    exact !== undefined && isEnvelope(exact)
      ? exact
      : // Base64 as people really paste it, or invalid: this says what is wrong with it.
        asBuffer(await collectAll((await decodeCiphertext(streamOf(text))).bytes));
  if (bytes.length === 0) {
    throw new KmsPocError(
      'NotCiphertext',
      'The ciphertext of this line is empty.',
      'Copy all of it, exactly as kms-encrypt printed it.',
    );
  }
  return { field, ciphertext: bytes };
}

/**
 * Otherwise the result would have two fields with the same name, or a message that was never
 * decrypted.
 */
export function refuseFields(object: ObjectText, names: readonly FieldName[]): void {
  const found = names.find((name) => findFields(object, name).length > 0);
  if (found === undefined) return;
  throw usageError(
    `This line already has the field ${found}.`,
    'That is where the result goes: remove it or rename it.',
  );
}

/**
 * Returns the line for a message that failed: its other fields, with the error replacing any that
 * was there.
 *
 * @param without fields to leave out
 */
export function errorLine(
  object: ObjectText | undefined,
  error: KmsPocError,
  without: readonly FieldName[],
): Iterable<Buffer> {
  return withoutFields(object, [...without, 'error'], 'error', [JSON.stringify(error)]);
}

/** Longer than any error of ours. */
const maxErrorBytes = 4096;

/** @returns the error, if the line failed in an earlier run: it would contradict a new ciphertext */
export function ourErrorOf(object: ObjectText): KmsPocError | undefined {
  const [field, ...others] = findFields(object, 'error');
  if (field === undefined || others.length > 0) return undefined;
  const { valueStart, end } = field;
  if (end - valueStart > maxErrorBytes) return undefined;
  const error = JSON.parse(object.bytes.toString('utf8', valueStart, end)) as unknown;
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, message, hint } = error as Record<string, unknown>;
  if (!isErrorCode(code) || typeof message !== 'string') return undefined;
  return new KmsPocError(code, message, typeof hint === 'string' ? hint : undefined);
}

/**
 * A line that failed to be encrypted has nothing to decrypt, and why it failed is what helps.
 *
 * @throws KmsPocError that error again, of a status that doesn't end the run
 */
export function refuseFailed(object: ObjectText): void {
  if (findFields(object, 'ciphertext').length > 0) return;
  const error = ourErrorOf(object);
  const { usage, undecryptable } = exitStatus;
  if (error?.status === usage || error?.status === undecryptable) throw error;
}
