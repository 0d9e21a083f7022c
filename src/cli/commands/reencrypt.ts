/** `kms-reencrypt`: from arguments to a ciphertext under another key. */
import { reencrypt } from '../../messages/reencrypt.ts';
import { KmsPocError } from '../../errors.ts';
import { writeCiphertext } from '../payload/ciphertext-output.ts';
import { prepareMove } from '../move.ts';
import { prepareKeys, prepareMessage } from '../keys.ts';
import type { Command } from '../run.ts';

export const reencryptCommand: Command = async (args, voice) => {
  if (args.batch) {
    const { reencryptBatchCommand } = await import('./batch.ts');
    await reencryptBatchCommand(args, voice);
    return;
  }
  const keys = prepareKeys(args, 'DECRYPTOR', voice);
  const openMove = prepareMove(keys, voice);
  const { user, input, output } = await prepareMessage(args, keys.settings, { inPlace: true });
  const move = await openMove();
  const reencrypted = await reencrypt({
    ...move,
    user,
    input: await input.read(`Hello ${user}, please enter your message to re-encrypt: `),
    outputHeldUntilEnd: output.isHeldUntilEnd,
  });
  // A file of bytes stays one: scripts move thousands of files without looking into them.
  const asBytes = args.binary || (reencrypted.cameAsBytes && !output.isTerminal);
  await writeCiphertext(reencrypted, output, {
    user,
    as: args.json ? 'json' : asBytes ? 'bytes' : 'base64',
    label: 'Your re-encrypted message:\n',
    check: output.replacesFile
      ? (written) => reencrypted.prove(written).catch(keepOldFile)
      : undefined,
  });
};

function keepOldFile(error: unknown): never {
  if (!(error instanceof KmsPocError)) throw error;
  throw new KmsPocError(
    error.code,
    `The new ciphertext was not proved to open, so the file stays as it is. ${error.message}`,
    error.code === 'KeyUnusable' || error.code === 'WrongKey'
      ? 'Write to another file: --out, or name a key that opens it in DECRYPT_KEYS.'
      : error.hint,
    { cause: error },
  );
}
