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

/** What the Encryption SDK adds to the context of a message that it signs. */
const publicKeyName = 'aws-crypto-public-key';

/**
 * The library takes any encryption context that the header holds: comparing it is our part.
 *
 * @throws KmsPocError WrongUser
 */
export const requireUser = (
  { encryptionContext, signed }: Pick<EnvelopeHeader, 'encryptionContext' | 'signed'>,
  user: string,
): void => {
  const names = Object.keys(encryptionContext).filter((name) => !signed || name !== publicKeyName);
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

const requireAnyUser = (header: EnvelopeHeader): void => {
  const { user } = header.encryptionContext;
  if (user !== undefined && !isUserName(user)) {
    throw new KmsPocError(
      'WrongUser',
      'This message is for a user whose name --user does not accept.',
      'Open it with the tool that wrote it.',
    );
  }
  requireUser(header, user ?? '');
};

const requireSignature = ({ signed }: EnvelopeHeader): void => {
  if (signed) return;
  throw new KmsPocError(
    'NotSigned',
    'This message is not signed: anyone who can decrypt it could have written it.',
    'To read it all the same, leave out --require-signed, or set REQUIRE_SIGNED=no.',
  );
};

/**
 * Checks the header alone, before any key is asked for.
 *
 * @throws KmsPocError Unsupported, WrongUser, NotSigned
 */
export const requireReadable = (
  header: EnvelopeHeader,
  user: string,
  isSignatureRequired: boolean,
): void => {
  requireCommitment(header);
  requireFrameLength(header);
  requireUser(header, user);
  if (isSignatureRequired) requireSignature(header);
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
