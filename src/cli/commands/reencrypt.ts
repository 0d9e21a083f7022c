/** `kms-reencrypt`: a ciphertext in, one of the same message under another key out. */
import { exitStatus, KmsPocError } from '../../errors.ts';
import { findCiphertext } from '../../messages/ciphertext-input.ts';
import { reencrypt, streamedWays } from '../../messages/reencrypt.ts';
import { prepareMove } from '../keys.ts';
import { writeCiphertext } from '../payload/ciphertext-output.ts';
import { openMessage } from '../payload/streams.ts';
import type { Command } from './command.ts';

export const reencryptCommand: Command = async (args, notices) => {
  const { access, inUse, openMove } = await prepareMove(args, notices);
  const { user, input, output } = await openMessage(args, access.settings, {
    inPlace: true,
    inUse,
  });
  const move = await openMove();
  const found = await findCiphertext(
    await input.read(`Hello ${user}, please enter your message to re-encrypt: `),
  );
  const ways = streamedWays(move, output.isHeldUntilEnd);
  const reencrypted = await reencrypt(move, ways, user, found);
  // A file of bytes stays a file of bytes: scripts move thousands of files without looking into
  // them.
  const asBytes = args.binary || (found.cameAsBytes && !output.isTerminal);
  await writeCiphertext(reencrypted, output, {
    user,
    as: args.json ? 'json' : asBytes ? 'bytes' : 'base64',
    label: 'Your re-encrypted message:\n',
    check: output.replacesFile
      ? (written) => reencrypted.prove(written).catch(keepOldFile)
      : undefined,
  });
  return exitStatus.ok;
};

function keepOldFile(error: unknown): never {
  if (!(error instanceof KmsPocError)) throw error;
  throw new KmsPocError(
    error.code,
    `Could not verify that the new ciphertext opens, so the file is unchanged. ${error.message}`,
    error.code === 'KeyUnusable' || error.code === 'WrongKey'
      ? 'Write to another file with --out, or add a key that opens it to DECRYPT_KEYS.'
      : error.hint,
    { cause: error },
  );
}
