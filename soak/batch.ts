/** The same messages as lines of a batch, which takes another way through the code. */
import { isUtf8 } from 'node:buffer';
import { inspect } from 'node:util';

import { exitStatus, KmsPocError } from '../src/errors.ts';
import { decryptBatch } from '../src/messages/batch.ts';
import { inPieces, outcomeOf } from '../test/support/bytes.ts';
import type { Case } from './cases.ts';
import { codeOf, type Done, type Opener } from './ciphertexts.ts';
import { isBytes } from './wrappings.ts';

interface BatchFinding {
  readonly each: Case;
  readonly what: string;
}

interface LineOut {
  readonly message?: string;
  readonly messageBase64?: string;
  readonly error?: { readonly code: string };
}

/** @returns why a message can't be a line among others */
export function whyNoLine({ each, ours: { error } }: Done): string | undefined {
  if (!isBytes(each.wrapping) && !isUtf8(each.input)) return 'not UTF-8, and JSON is';
  const isOfLine =
    !(error instanceof KmsPocError) ||
    error.status === exitStatus.undecryptable ||
    error.status === exitStatus.usage;
  return isOfLine ? undefined : `${error.code} ends the run`;
}

export async function decryptAsBatch(
  opener: Opener,
  done: readonly Done[],
): Promise<readonly BatchFinding[]> {
  const { keys, sources, requireSigned } = opener;
  const lines = done.map(({ each: { user, input, wrapping } }) => {
    const ciphertext = isBytes(wrapping) ? input.toString('base64') : input.toString('utf8');
    return `${JSON.stringify({ user, ciphertext })}\n`;
  });
  const options = {
    input: inPieces(Buffer.from(lines.join('')), [10_000]),
    defaultUser: undefined,
    checkUser: () => undefined,
  };
  const { output, error } = await outcomeOf(
    decryptBatch(options, keys, sources, requireSigned).output,
  );
  const [first] = done;
  if (first === undefined) return [];
  if (error !== undefined && done.length > 1) {
    // Which of them was it?
    const alone = await Promise.all(done.map((one) => decryptAsBatch(opener, [one])));
    if (alone.flat().length > 0) return alone.flat();
  }
  if (error !== undefined) {
    const why = error instanceof KmsPocError ? `${error.code}: ${error.message}` : inspect(error);
    return [{ each: first.each, what: `a batch of ${lines.length} lines from here ended: ${why}` }];
  }
  const results = output.toString().trimEnd().split('\n');
  if (results.length !== lines.length) {
    return [{ each: first.each, what: `${results.length} lines of ${lines.length} came out` }];
  }
  return done.flatMap((one, index) => {
    const what = compare(one, JSON.parse(results[index] ?? '') as LineOut);
    return what === undefined ? [] : [{ each: one.each, what }];
  });
}

/** @returns what is wrong */
function compare({ each, ours }: Done, line: LineOut): string | undefined {
  const { error, message, messageBase64 } = line;
  const code = error?.code ?? 'opened';
  // An error that is not of the message alone is that of its line here.
  if (code !== codeOf(ours)) {
    const isSameLeniency = !each.isTextChanged && isBytes(each.wrapping);
    const isBothRefused = code !== 'opened' && ours.error !== undefined;
    if (isBothRefused && !isSameLeniency) return undefined;
    return `alone ${codeOf(ours)}, in a batch ${code}`;
  }
  if (error !== undefined) {
    return message === undefined && messageBase64 === undefined
      ? undefined
      : 'a batch puts a message beside an error';
  }
  const plaintext =
    message === undefined ? Buffer.from(messageBase64 ?? '', 'base64') : Buffer.from(message);
  return plaintext.equals(ours.output) ? undefined : 'a batch gives another plaintext';
}
