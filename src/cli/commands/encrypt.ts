/** `kms-encrypt`: from arguments to a ciphertext on standard output or in a file. */
import { encrypt } from '../../messages/encrypt.ts';
import { openEncryptionKeys } from '../../keys/encryption-keys.ts';
import { writeCiphertext } from '../payload/ciphertext-output.ts';
import { prepareKeys, prepareMessage } from '../keys.ts';
import type { Command } from '../run.ts';

export const encryptCommand: Command = async (args, voice) => {
  if (args.batch) {
    const { encryptBatchCommand } = await import('./batch.ts');
    await encryptBatchCommand(args, voice);
    return;
  }
  const { settings, key, backupKeys, sources } = prepareKeys(args, 'ENCRYPTOR', voice);
  const { user, input, output } = await prepareMessage(args, settings, {
    inWholeFrames: args.binary,
  });
  const keys = await openEncryptionKeys([key, ...backupKeys], sources);
  const plaintext = await input.read(`Hello ${user}, please enter your message to encrypt: `);
  await writeCiphertext(await encrypt(user, keys, plaintext), output, {
    user,
    as: args.binary ? 'bytes' : args.json ? 'json' : 'base64',
    label: 'Your encrypted message:\n',
  });
};
