/**
 * The fields of a batch's lines: who the message is for, the message, the ciphertext, the error.
 */
import { KmsPocError, usageError } from '../errors.ts';
import { userNameRule } from '../formats/user-name.ts';
import { exactBase64 } from '../formats/base64.ts';
import { asBuffer, collectAll, streamOf } from '../streams/byte-stream.ts';
import { type Field, findFields, type ObjectText, withoutFields } from '../formats/json-lines.ts';
import { decodeCiphertext } from './ciphertext-input.ts';

export interface Users {
  /** For lines that name no user. */
  readonly defaultUser: string | undefined;
  /** @throws KmsPocError Usage, for a user who is not allowed */
  readonly checkUser: (user: string) => void;
}

/** @throws KmsPocError Usage, if the field occurs twice, since either could be meant */
function fieldOf(object: ObjectText, name: string): Field | undefined {
  const fields = findFields(object, name);
  if (fields.length > 1) {
    throw usageError(`This line has the field ${name} more than once.`, 'Keep one of them.');
  }
  return fields[0];
}

/** @throws KmsPocError Usage */
export function userOf(object: ObjectText, { defaultUser, checkUser }: Users): string {
  if (fieldOf(object, 'user') === undefined) {
    if (defaultUser !== undefined) return defaultUser;
    throw usageError(
      'This line names no user.',
      'Add "user" to it, or use --user NAME for all such lines.',
    );
  }
  const { user } = object.value;
  if (typeof user !== 'string') {
    throw usageError('The user of this line is not a string.', `${userNameRule}.`);
  }
  checkUser(user);
  return user;
}

/** @throws KmsPocError Usage */
export function plaintextOf(object: ObjectText): { field: Field; plaintext: Buffer } {
  const asText = fieldOf(object, 'message');
  const asBase64 = fieldOf(object, 'messageBase64');
  const { message, messageBase64 } = object.value;
  if (asText !== undefined && asBase64 === undefined) {
    // Half of a surrogate pair can't be encoded: decrypting would return a replacement character.
    if (typeof message === 'string' && !/\p{Surrogate}/u.test(message)) {
      return { field: asText, plaintext: Buffer.from(message, 'utf8') };
    }
    throw usageError('The message of this line is not a string of valid Unicode.', howToGiveBytes);
  }
  if (asBase64 !== undefined && asText === undefined) {
    const plaintext = typeof messageBase64 === 'string' ? exactBase64(messageBase64) : undefined;
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
  const { ciphertext } = object.value;
  if (field === undefined) {
    throw usageError('This line has no ciphertext.', 'Put it in the field "ciphertext".');
  }
  if (typeof ciphertext !== 'string') {
    throw usageError('The ciphertext of this line is not a string.', 'Put it there as base64.');
  }
  const bytes =
    exactBase64(ciphertext) ??
    // Base64 as people really paste it, or invalid: this says what is wrong with it.
    asBuffer(await collectAll((await decodeCiphertext(streamOf(Buffer.from(ciphertext)))).bytes));
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
export function refuseFields(object: ObjectText, names: readonly string[]): void {
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
  without: readonly string[],
): string {
  return withoutFields(object, [...without, 'error'], { name: 'error', value: error });
}
