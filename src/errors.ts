/**
 * The one error class. Anything that fails for a reason a user can understand is thrown as a
 * KmsPocError; anything else is a bug and ends with status 1.
 */

/** The exit statuses of every command (docs/usage.md, "Exit status"). */
export const exitStatus = {
  ok: 0,
  /** Anything unexpected, including a full disk. */
  unexpected: 1,
  /** Usage or settings. */
  usage: 2,
  /** This ciphertext can't be decrypted. */
  undecryptable: 3,
  /** Refused: credentials, permission, or a key that can't be used. */
  refused: 4,
  /** KMS can't be reached, throttles or fails. */
  unavailable: 5,
  interrupted: 130,
  /** The reader of standard output closed it; nothing is printed. */
  outputClosed: 141,
} as const;

export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus];

/** What went wrong: stable names for programs (`--json`, `--batch`), each with its exit status. */
const statusOfCode = {
  Unexpected: exitStatus.unexpected,
  FileError: exitStatus.unexpected,
  Usage: exitStatus.usage,
  /** The input is not a ciphertext, or not a complete one. */
  NotCiphertext: exitStatus.undecryptable,
  /** A ciphertext of a kind or size that is not supported. */
  Unsupported: exitStatus.undecryptable,
  /** An Encryption SDK message without a signature, where one is required. */
  NotSigned: exitStatus.undecryptable,
  /** The header names another user. Public knowledge: the header is not encrypted. */
  WrongUser: exitStatus.undecryptable,
  /** None of the configured keys encrypted it. This is public too: for a blob, KMS says so. */
  WrongKey: exitStatus.undecryptable,
  /** Every cryptographic failure has this one code and one text, so that it is no oracle. */
  CannotDecrypt: exitStatus.undecryptable,
  Credentials: exitStatus.refused,
  AccessDenied: exitStatus.refused,
  KeyNotFound: exitStatus.refused,
  KeyUnusable: exitStatus.refused,
  Throttled: exitStatus.unavailable,
  Unavailable: exitStatus.unavailable,
  Interrupted: exitStatus.interrupted,
  OutputClosed: exitStatus.outputClosed,
} as const satisfies Record<string, ExitStatus>;

export type ErrorCode = keyof typeof statusOfCode;

/** Someone who closed the output wants no more of it; someone who pressed Ctrl-C knows. */
type SilentCode = 'Interrupted' | 'OutputClosed';

export const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === 'string' && Object.hasOwn(statusOfCode, code);

export class KmsPocError extends Error {
  override readonly name = 'KmsPocError';
  readonly code: ErrorCode;
  /**
   * What to do about it: one line, shown below the message. Only errors that are never shown have
   * none.
   */
  readonly hint: string | undefined;

  /**
   * @param message one line that says what happened, in the user's words; never a plaintext or a
   *   secret
   */
  constructor(code: SilentCode, message: string, hint?: undefined, options?: ErrorOptions);
  constructor(code: ErrorCode, message: string, hint: string | undefined, options?: ErrorOptions);
  constructor(code: ErrorCode, message: string, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }

  get status(): ExitStatus {
    return statusOfCode[this.code];
  }

  /** What programs see, in `--json` and `--batch`. */
  toJSON(): { code: ErrorCode; message: string; hint?: string } {
    const { code, message, hint } = this;
    return { code, message, ...(hint !== undefined && { hint }) };
  }
}

/** An error in how the command was called or set up (status 2). */
export const usageError = (message: string, hint: string, options?: ErrorOptions): KmsPocError =>
  new KmsPocError('Usage', message, hint, options);

/** Somebody wants the run to end: nothing is wrong, and nothing is said. */
export const interrupted = (options?: ErrorOptions): KmsPocError =>
  new KmsPocError('Interrupted', 'Interrupted.', undefined, options);

/** The system's own name for what went wrong with a file: `ENOENT`. */
export const systemCode = (error: unknown): string =>
  (error as NodeJS.ErrnoException).code ?? 'unknown reason';

const reasonOfCode: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EFBIG: 'the file is too large',
  EISDIR: 'it is a folder',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is not a folder',
  ENXIO: 'nothing is connected to it',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
};

/**
 * @returns what went wrong with a file, to put at the end of a sentence: `no such file (ENOENT)`
 */
export function reasonOf(error: unknown): string {
  const code = systemCode(error);
  const reason = reasonOfCode[code];
  return reason === undefined ? code : `${reason} (${code})`;
}
