/** How a new ciphertext is written: as bytes, as base64 or as JSON. */
import type { Encrypted } from '../../messages/encrypt.ts';
import { usageError } from '../../errors.ts';
import { encodeBase64 } from '../../formats/base64.ts';
import { jsonString } from '../../formats/json-text.ts';
import { type ByteStream, peek } from '../../streams/byte-stream.ts';
import type { Arguments } from '../arguments.ts';
import { jsonLine } from './json-line.ts';
import type { Output } from './output.ts';
import { collectWhole } from './whole.ts';
import { showLabel } from '../terminal/notices.ts';

/** @throws KmsPocError Usage */
export function checkCiphertextOutput(args: Arguments, output: Output): void {
  if (args.binary && args.json) {
    throw usageError(
      "--binary can't be combined with --json.",
      "JSON can't hold raw bytes: remove one of the two.",
    );
  }
  if (args.binary && output.isTerminal) {
    throw usageError(
      'Raw bytes are never written to a terminal.',
      'Use --out FILE or a pipe, or remove --binary.',
    );
  }
}

/**
 * @param options.label what to call it on a terminal
 * @param options.check as for `Output.write`
 */
export async function writeCiphertext(
  { ciphertext, key, keys, format }: Encrypted,
  output: Output,
  options: {
    readonly user: string;
    readonly as: 'bytes' | 'base64' | 'json';
    readonly label: string;
    readonly check?: ((written: ByteStream) => Promise<void>) | undefined;
  },
): Promise<void> {
  const { user, as, label, check } = options;
  if (as === 'bytes') {
    await output.write(ciphertext, check);
    return;
  }
  const base64 = encodeBase64(ciphertext);
  if (as === 'json') {
    const text = jsonString(await collectWhole(base64, 'for --json'));
    await output.write(jsonLine({ user, ciphertext: text, key, keys, format }), check);
    return;
  }
  // Nothing is announced until there is something to show.
  const { whole } = await peek(base64, 1);
  if (output.isTerminal) showLabel(label);
  await output.write(withLineBreak(whole), check);
}

async function* withLineBreak(text: ByteStream): ByteStream {
  yield* text;
  yield Buffer.from('\n');
}
