/** `kms-decrypt`: from arguments to a plaintext on standard output or in a file. */
import { decrypt } from '../../messages/decrypt.ts';
import { exitStatus, usageError } from '../../errors.ts';
import { decodeUtf8, streamOf } from '../../streams/byte-stream.ts';
import { collectWhole, jsonLine } from '../payload/output.ts';
import { prepareKeys, prepareMessage } from '../keys.ts';
import type { Command } from '../run.ts';
import { showLabel } from '../terminal/notices.ts';
import { visibleText } from '../terminal/visible-text.ts';

export const decryptCommand: Command = async (args, voice) => {
  if (args.inspect) {
    const { inspectCommand } = await import('./inspect.ts');
    await inspectCommand(args);
    return;
  }
  if (args.batch) {
    const { decryptBatchCommand } = await import('./batch.ts');
    await decryptBatchCommand(args, voice);
    return;
  }
  const { settings, key, backupKeys, oldKeys, sources } = prepareKeys(args, 'DECRYPTOR', voice);
  const { user, input, output } = await prepareMessage(args, settings);
  const ciphertext = await input.read(`Hello ${user}, please enter your message to decrypt: `);
  const decrypted = await decrypt({
    user,
    keys: [key, ...backupKeys, ...oldKeys],
    sources,
    input: ciphertext,
    outputHeldUntilEnd: args.json || output.isTerminal || output.isHeldUntilEnd,
    onOtherKey: (name, failures) => {
      // That an old message is not of the first key is no failure of that key.
      const failure = failures.find(({ status }) => status !== exitStatus.undecryptable);
      const why = failure === undefined ? '.' : `: ${failure.message}`;
      voice.warn(`opened with ${name}, which is not the first key${why}`);
    },
  });

  if (args.json) {
    const plaintext = await collectWhole(decrypted.plaintext, 'for --json');
    const text = decodeUtf8(plaintext);
    const message =
      text === undefined
        ? { messageBase64: Buffer.from(plaintext).toString('base64') }
        : { message: text };
    const { key: openedWith, format } = decrypted;
    await output.write(jsonLine({ user, ...message, key: openedWith(), format }));
  } else if (output.isTerminal) {
    const plaintext = await collectWhole(decrypted.plaintext, 'for a terminal');
    const text = decodeUtf8(plaintext);
    if (text === undefined) {
      throw usageError(
        `The message is not text: it has ${plaintext.length} bytes.`,
        'Write it to a file with --out, or to a pipe.',
      );
    }
    showLabel('Your decrypted message: ');
    await output.write(streamOf(Buffer.from(`${visibleText(text)}\n`)));
  } else {
    await output.write(decrypted.plaintext);
  }
};
