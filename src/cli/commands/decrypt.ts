/** `kms-decrypt`: a ciphertext in, its plaintext on standard output or in a file. */
import { isUtf8 } from 'node:buffer';

import { exitStatus, usageError } from '../../errors.ts';
import { jsonBase64, jsonString } from '../../formats/json-text.ts';
import { textPieces } from '../../formats/text.ts';
import { decrypt } from '../../messages/decrypt.ts';
import { streamOfPieces } from '../../streams/byte-stream.ts';
import { prepareKeys } from '../keys.ts';
import { jsonLine } from '../payload/json-line.ts';
import { collectWhole } from '../payload/whole.ts';
import { openMessage } from '../payload/streams.ts';
import { showLabel } from '../terminal/notices.ts';
import { visibleText } from '../terminal/visible-text.ts';
import type { Command } from './command.ts';

export const decryptCommand: Command = async (args, notices) => {
  const { access, allKeys: keys, sources, inUse } = await prepareKeys(args, 'DECRYPTOR', notices);
  const requireSigned = access.settings.requireSigned();
  const { user, input, output } = await openMessage(args, access.settings, { inUse });
  const ciphertext = await input.read(`Hello ${user}, please enter your message to decrypt: `);
  const outputHeldUntilEnd = args.json || output.isTerminal || output.isHeldUntilEnd;
  const decrypted = await decrypt(
    { user, keys, sources, requireSigned, outputHeldUntilEnd },
    ciphertext,
  );

  if (args.json) {
    const plaintext = await collectWhole(decrypted.plaintext, 'for --json');
    const message = isUtf8(plaintext)
      ? { message: jsonString(plaintext) }
      : { messageBase64: jsonBase64(plaintext) };
    const { key: openedWith, format } = decrypted;
    await output.write(jsonLine({ user, ...message, key: openedWith(), format }));
  } else if (output.isTerminal) {
    const plaintext = await collectWhole(decrypted.plaintext, 'for a terminal');
    if (!isUtf8(plaintext)) {
      throw usageError(
        `The message is not text (${plaintext.length} bytes).`,
        'Write it to a file with --out, or to a pipe.',
      );
    }
    showLabel('Your decrypted message: ');
    await output.write(streamOfPieces(visibleLines(plaintext)));
  } else {
    await output.write(decrypted.plaintext);
  }
  return exitStatus.ok;
};

function* visibleLines(plaintext: Uint8Array): Generator<Buffer> {
  for (const text of textPieces(plaintext)) yield Buffer.from(visibleText(text));
  yield Buffer.from('\n');
}
