/** What is wrong with the bytes of a message. */
import { KmsPocError } from '../errors.ts';

/** Everything that can go wrong in the cryptography is one error with one text: no oracle. */
export const cannotDecrypt = (cause: unknown): KmsPocError =>
  new KmsPocError(
    'CannotDecrypt',
    "The ciphertext was changed or damaged: it can't be decrypted.",
    'Copy or download all of it again, or use an older copy.',
    { cause },
  );

/** What to say of input that ends too early. */
export const cutMessage = (): KmsPocError =>
  new KmsPocError(
    'NotCiphertext',
    'The ciphertext is truncated.',
    'Copy or download all of it again.',
  );
