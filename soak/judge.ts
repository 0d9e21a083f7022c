/** Whether what came of a changed message is right. */
import { isUtf8 } from 'node:buffer';
import { inspect } from 'node:util';

import { exitStatus, KmsPocError } from '../src/errors.ts';
import type { Outcome } from '../test/support/bytes.ts';
import type { Case } from './cases.ts';
import type { Original } from './originals.ts';
import { isBytes } from './wrappings.ts';

interface Verdict {
  /** For the table: `opened`, a code, or a code with the stricter rule. */
  readonly outcome: string;
  readonly finding?: string;
}

/**
 * @param originals what may come out, for the message that it belongs to
 * @param byLibrary undefined: it refuses the message
 */
export function judge(
  each: Case,
  originals: readonly Original[],
  { output, error }: Outcome,
  byLibrary: Buffer | undefined,
): Verdict {
  const bytes = each.bytes ?? Buffer.alloc(0);
  if (error === undefined) {
    const outcome = 'opened';
    if (byLibrary === undefined) return { outcome, finding: 'opened, and the library refuses it' };
    if (!output.equals(byLibrary))
      return { outcome, finding: 'another plaintext than the library' };
    const isGenuine = originals.some(
      (original) => startsWith(bytes, original.bytes) && original.plaintext.equals(output),
    );
    return isGenuine ? { outcome } : { outcome, finding: 'a plaintext that nobody encrypted' };
  }
  if (!(error instanceof KmsPocError)) {
    return { outcome: 'Bug', finding: `no error of ours: ${inspect(error)}` };
  }
  const outcome = error.code;
  // Frames before a changed one may be out, if no signature is to come.
  const isPrefix = originals.some(
    (original) =>
      startsWith(bytes, original.bytes.subarray(0, 35)) &&
      original.layout?.signature.start === original.layout?.signature.end &&
      startsWith(original.plaintext, output),
  );
  if (output.length > 0 && !isPrefix) {
    return { outcome, finding: `${output.length} bytes came out that were not verified` };
  }
  const isExpected =
    error.status === exitStatus.undecryptable ||
    lacksKmsKey(each, error) ||
    ((byLibrary === undefined || isNoText(each)) && isOfForeignKey(each, error));
  if (!isExpected) {
    return { outcome, finding: `status ${error.status}: ${error.message}` };
  }
  if (byLibrary === undefined) return { outcome };
  const rule = stricterRule(each, originals, error, byLibrary);
  return rule === undefined
    ? { outcome, finding: `refused (${error.message}), and the library opens it` }
    : { outcome: `${outcome} (${rule})` };
}

/** A message that was changed where it names its KMS key: KMS says no more about it. */
const isOfForeignKey = ({ original }: Case, { code }: KmsPocError): boolean =>
  code === 'AccessDenied' && original.keys.some(isKmsKey);

/** What no longer looks like an Encryption SDK message may be a blob, for which a key must be set. */
const lacksKmsKey = ({ original }: Case, { code, message }: KmsPocError): boolean =>
  code === 'Usage' && message.includes('no AWS KMS key is set') && !original.keys.some(isKmsKey);

const isKmsKey = (key: string): boolean => !/^(local|rsa):/.test(key);

/** Base64 with bytes in it that no text has is taken for what it is not, and refused as that. */
const isNoText = ({ wrapping, input }: Case): boolean => !isBytes(wrapping) && !isUtf8(input);

/** Why we may refuse what the library opens. */
function stricterRule(
  each: Case,
  originals: readonly Original[],
  { code }: KmsPocError,
  byLibrary: Buffer,
): string | undefined {
  const { bytes = Buffer.alloc(0), user, original, requireSigned, wrapping } = each;
  if (code === 'WrongUser' && user !== original.user) return "not this user's";
  if (isNoText(each)) return 'text with bytes that are none';
  if (code === 'NotSigned' && requireSigned) return 'a signature is required';
  const whole = originals.find(
    (other) => startsWith(bytes, other.bytes) && other.plaintext.equals(byLibrary),
  );
  if (code === 'WrongUser' && whole !== undefined && whole.user !== user) return "not this user's";
  if (code !== 'NotCiphertext' || whole === undefined) return undefined;
  if (bytes.length > whole.bytes.length && whole.layout !== undefined) return 'bytes after the end';
  return isBytes(wrapping) ? undefined : 'text that is not exact';
}

const startsWith = (bytes: Buffer, start: Buffer): boolean =>
  bytes.subarray(0, start.length).equals(start);
