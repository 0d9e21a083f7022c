/** What is wrong with the bytes of a message. */
import { KmsPocError } from '../errors.ts';

/** Everything that can go wrong in the cryptography is one error with one text: no oracle. */
export const cannotDecrypt = (cause: unknown): KmsPocError =>
  new KmsPocError(
    'CannotDecrypt',
    'The ciphertext was changed or damaged: it can not be decrypted.',
    'Copy or download it again, whole; or go back to an older copy.',
    { cause },
  );

/** What to say of input that ends too early. */
export const cutMessage = (): KmsPocError =>
  new KmsPocError(
    'NotCiphertext',
    'The ciphertext is cut: its end is missing.',
    'Copy or download it again, whole.',
  );
