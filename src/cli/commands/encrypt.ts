/** `kms-encrypt`: a plaintext in, a ciphertext on standard output or in a file. */
import { exitStatus } from '../../errors.ts';
import { openEncryptionKeys } from '../../keys/encryption-keys.ts';
import { encrypt } from '../../messages/encrypt.ts';
import { prepareKeys } from '../keys.ts';
import { writeCiphertext } from '../payload/ciphertext-output.ts';
import { openMessage } from '../payload/streams.ts';
import type { Command } from './command.ts';

export const encryptCommand: Command = async (args, notices) => {
  const { access, key, backupKeys, sources, inUse } = await prepareKeys(args, 'ENCRYPTOR', notices);
  const sign = access.settings.sign();
  const { user, input, output } = await openMessage(args, access.settings, {
    inWholeFrames: args.binary,
    inUse,
  });
  const keys = await openEncryptionKeys([key, ...backupKeys], sources);
  const plaintext = await input.read(`Hello ${user}, please enter your message to encrypt: `);
  await writeCiphertext(await encrypt(user, keys, plaintext, sign), output, {
    user,
    as: args.binary ? 'bytes' : args.json ? 'json' : 'base64',
    label: 'Your encrypted message:\n',
  });
  return exitStatus.ok;
};
