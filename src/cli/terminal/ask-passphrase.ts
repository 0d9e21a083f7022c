/** The passphrase of an RSA key file: from a file, or typed in. Never from argv or a variable. */
import { reasonOf, usageError } from '../../errors.ts';
import type { Events } from '../../events.ts';
import { toUtf8 } from '../../formats/text.ts';
import { readSmallFile } from '../../streams/small-file.ts';
import { once } from '../../streams/once.ts';
import { readMessage } from './ask-message.ts';
import { isInteractive } from './ask-user.ts';
import { whileAsking } from './status-line.ts';
import { visibleText } from './visible-text.ts';

/**
 * @param keyFile the key that it opens, for the question
 * @returns bytes, which the caller zeroes after use
 * @throws KmsPocError Usage, Interrupted
 */
export async function readPassphrase(
  keyFile: string,
  passphraseFile: string | undefined,
  events: Pick<Events, 'keyFile'>,
): Promise<Uint8Array> {
  if (passphraseFile !== undefined) {
    try {
      const { bytes, stat } = await readSmallFile(passphraseFile);
      events.keyFile(passphraseFile, stat, true);
      // A passphrase can be in any encoding.
      const text = toUtf8(bytes) ?? bytes;
      const end = text.findIndex((byte) => byte === 0x0a || byte === 0x0d);
      return end === -1 ? text : text.subarray(0, end);
    } catch (cause) {
      throw usageError(
        `Can't read the passphrase file ${passphraseFile}: ${reasonOf(cause)}.`,
        'Check RSA_PASSPHRASE_FILE.',
        { cause },
      );
    }
  }
  if (!isInteractive()) {
    throw usageError(
      `The RSA key ${keyFile} needs a passphrase, and there is no terminal to ask on.`,
      'Put the passphrase in a file that only you can read, and set RSA_PASSPHRASE_FILE to its path.',
    );
  }
  const prompt = `Passphrase for ${visibleText(keyFile)}: `;
  // A passphrase may be blanks.
  const refuse = (text: string): string | undefined =>
    text === '' ? 'Nothing was typed.' : undefined;
  return whileAsking(() => readMessage({ prompt, hidden: true, refuse }));
}

/** Asks for the passphrase of each file once, however often its key is read. */
export function askOnce(
  ask: (file: string) => Promise<Uint8Array>,
): (file: string) => Promise<Uint8Array> {
  const askedOnce = once(ask);
  return async (file) => Uint8Array.from(await askedOnce(file)); // the caller zeroes its copy
}
