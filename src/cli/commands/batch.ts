/** The `--batch` mode of the commands: JSON Lines in and out. */
import type { ExitStatus } from '../../errors.ts';
import { openEncryptionKeys } from '../../keys/encryption-keys.ts';
import { type Batch, decryptBatch, encryptBatch, reencryptBatch } from '../../messages/batch.ts';
import type { ByteStream } from '../../streams/byte-stream.ts';
import type { Arguments } from '../arguments.ts';
import { prepareKeys, prepareMove } from '../keys.ts';
import { checkBatchArguments, openBatch, type Streams } from '../payload/streams.ts';
import { checkUser } from '../setting-values.ts';
import type { Settings } from '../settings.ts';
import type { Notices } from '../terminal/notices.ts';
import { visibleJson } from '../terminal/visible-text.ts';
import type { Command } from './command.ts';

export const encryptBatchCommand: Command = async (args, notices) => {
  checkBatchArguments(args);
  const { access, key, backupKeys, sources, inUse } = await prepareKeys(args, 'ENCRYPTOR', notices);
  const sign = access.settings.sign();
  const streams = await openBatch(args, { inUse });
  const keys = await openEncryptionKeys([key, ...backupKeys], sources);
  const options = await optionsOf(args, access.settings, streams);
  return runBatch(encryptBatch(options, keys, sign), streams, notices);
};

export const decryptBatchCommand: Command = async (args, notices) => {
  checkBatchArguments(args);
  const { access, allKeys, sources, inUse } = await prepareKeys(args, 'DECRYPTOR', notices);
  const requireSigned = access.settings.requireSigned();
  const streams = await openBatch(args, { inUse });
  const options = await optionsOf(args, access.settings, streams);
  return runBatch(decryptBatch(options, allKeys, sources, requireSigned), streams, notices);
};

export const reencryptBatchCommand: Command = async (args, notices) => {
  checkBatchArguments(args);
  const { access, inUse, openMove } = await prepareMove(args, notices);
  const streams = await openBatch(args, { inPlace: true, inUse });
  const move = await openMove();
  const options = await optionsOf(args, access.settings, streams);
  const prove = streams.output.replacesFile;
  return runBatch(reencryptBatch({ ...options, prove }, move), streams, notices);
};

async function optionsOf(args: Arguments, settings: Settings, { input }: Streams) {
  const users = settings.users();
  return {
    input: await input.read(''), // nothing is asked
    defaultUser: args.user,
    checkUser: (user: string) => checkUser(user, users),
  };
}

async function runBatch(
  { output, counts }: Batch,
  { output: target }: Streams,
  { notice }: Notices,
): Promise<ExitStatus> {
  await target.write(target.isTerminal ? visible(output) : output);
  const { lines, failed, worstStatus } = counts;
  if (failed > 0) {
    notice(
      `${failed} of ${lines} ${lines === 1 ? 'line' : 'lines'} failed: see the "error" of each.`,
    );
  }
  return worstStatus;
}

/** @param lines in pieces that consist of whole lines */
async function* visible(lines: ByteStream): ByteStream {
  for await (const piece of lines) yield Buffer.from(visibleJson(Buffer.from(piece).toString()));
}
