/** The reasons to refuse a message, with one text for each. */
import { KmsPocError } from '../errors.ts';
import { isUserName } from '../formats/user-name.ts';
import type { EnvelopeHeader } from './header.ts';
import { maxUnverifiedBytes } from './limits.ts';

const requireCommitment = (header: EnvelopeHeader): void => {
  if (header.committing) return;
  throw new KmsPocError(
    'Unsupported',
    `This message has no key commitment (${header.suiteName}), so it is refused.`,
    'Encrypt it again with AWS Encryption SDK 2.0 or later, with its default commitment policy.',
  );
};

/** Refuses frames that are longer than the memory limit. */
const requireFrameLength = ({ frameLength }: EnvelopeHeader): void => {
  if (frameLength <= maxUnverifiedBytes) return;
  throw new KmsPocError(
    'Unsupported',
    `This message has frames of ${frameLength} bytes; the limit is ${maxUnverifiedBytes}.`,
    'Encrypt it again with shorter frames, using the tool that wrote it.',
  );
};

/**
 * @throws KmsPocError Unsupported, for a message without frames that is longer than the memory
 *   limit
 */
export const requireBodyLength = ({ contentLength }: { contentLength: number }): void => {
  if (contentLength <= maxUnverifiedBytes) return;
  throw new KmsPocError(
    'Unsupported',
    `This message has ${contentLength} bytes without frames; the limit is ${maxUnverifiedBytes}.`,
    'Encrypt it again with frames, using the tool that wrote it.',
  );
};

/**
 * Compares the user. The library accepts whatever encryption context the header contains, so
 * checking it is up to us. The library's own fields begin with the reserved prefix `aws-crypto-`.
 *
 * @throws KmsPocError WrongUser
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
      'This message names no user in its encryption context, so it belongs to no user here.',
      'Open it with the tool that wrote it.',
    );
  }
  if (other === user) {
    throw new KmsPocError(
      'WrongUser',
      `This message is for ${user}, but its encryption context contains more than the user.`,
      'Open it with the tool that wrote it.',
    );
  }
  throw new KmsPocError(
    'WrongUser',
    // A header can contain anything.
    isUserName(other)
      ? `This message is for ${other}, not for ${user}.`
      : `This message is not for ${user}.`,
    'Only the user a message was encrypted for can decrypt it.',
  );
};

const requireAnyUser = ({ encryptionContext }: EnvelopeHeader): void => {
  const { user } = encryptionContext;
  if (user !== undefined && !isUserName(user)) {
    throw new KmsPocError(
      'WrongUser',
      'This message is for a user whose name --user does not accept.',
      'Open it with the tool that wrote it.',
    );
  }
  requireUser(encryptionContext, user ?? '');
};

/**
 * Checks the header alone, before any key is asked for.
 *
 * @throws KmsPocError Unsupported, WrongUser
 */
export const requireReadable = (header: EnvelopeHeader, user: string): void => {
  requireCommitment(header);
  requireFrameLength(header);
  requireUser(header.encryptionContext, user);
};

/**
 * Returns the reasons why `decryptMessage` refuses a message, whichever user and keys are given.
 *
 * @param plaintextBytes the length that its frames announce
 */
export const refusalsOf = (header: EnvelopeHeader, plaintextBytes: number): KmsPocError[] => {
  const requirements = [
    requireCommitment,
    requireFrameLength,
    requireAnyUser,
    ({ contentType }: EnvelopeHeader) => {
      if (contentType === 'single-block') requireBodyLength({ contentLength: plaintextBytes });
    },
  ];
  return requirements.flatMap((requirement) => {
    try {
      requirement(header);
      return [];
    } catch (error) {
      if (error instanceof KmsPocError) return [error];
      throw error;
    }
  });
};
