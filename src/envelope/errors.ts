/** Errors about the bytes of a message. */
import { KmsPocError } from '../errors.ts';

/** Every cryptographic failure gives the same error with the same text, so that it is no oracle. */
export const cannotDecrypt = (cause: unknown): KmsPocError =>
  new KmsPocError(
    'CannotDecrypt',
    "The ciphertext was changed or damaged: it can't be decrypted.",
    'Copy or download all of it again, or use an older copy.',
    { cause },
  );

/** For input that ends too early. */
export const cutMessage = (): KmsPocError =>
  new KmsPocError(
    'NotCiphertext',
    'The ciphertext is truncated.',
    'Copy or download all of it again.',
  );
