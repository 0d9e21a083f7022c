/** `kms-encrypt`: from arguments to a ciphertext on standard output or in a file. */
import { encrypt } from '../commands/encrypt.ts';
import { usageError } from '../errors.ts';
import { encodeBase64 } from '../formats/base64.ts';
import { type ByteStream, peek } from '../formats/byte-stream.ts';
import { type EncryptionKey, openEncryptionKey } from '../keys/encryption-keys.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import { collectWhole, jsonLine } from './output.ts';
import { prepare } from './prepare.ts';
import type { Command } from './run.ts';
import { showLabel } from './terminal.ts';

export const encryptCommand: Command = async (args, voice) => {
  if (args.batch) {
    const { encryptBatchCommand } = await import('./batch-command.ts');
    await encryptBatchCommand(args, voice);
    return;
  }
  const { user, key, backupKeys, sources, input, output } = await prepare(args, 'ENCRYPTOR', voice);
  if (args.binary && args.json) {
    throw usageError('--binary and --json exclude each other.', 'JSON holds text: leave one out.');
  }
  if (args.binary && output.isTerminal) {
    throw usageError(
      'Bytes are not written to a terminal.',
      'Use --out FILE or a pipe, or leave out --binary.',
    );
  }
  const open = (reference: KeyReference): Promise<EncryptionKey> =>
    openEncryptionKey(reference, sources);
  const keys = [await open(key), ...(await Promise.all(backupKeys.map(open)))] as const;
  const plaintext = await input.read(`Hello ${user}, please enter your message to encrypt: `);
  const encrypted = await encrypt(user, keys, plaintext);
  if (args.binary) {
    await output.write(encrypted.ciphertext);
    return;
  }
  const base64 = encodeBase64(encrypted.ciphertext);
  if (args.json) {
    const ciphertext = Buffer.from(await collectWhole(base64, 'for --json')).toString('latin1');
    const { key: keyName, format } = encrypted;
    await output.write(jsonLine({ user, ciphertext, key: keyName, format }));
  } else {
    // Nothing is announced before there is something to show.
    const { whole } = await peek(base64, 1);
    if (output.isTerminal) showLabel('Your encrypted message:\n');
    await output.write(withLineBreak(whole));
  }
};

async function* withLineBreak(text: ByteStream): ByteStream {
  yield* text;
  yield Buffer.from('\n');
}
