/** `--batch` of the commands: JSON Lines in and out. */
import process from 'node:process';

import { type Batch, decryptBatch, encryptBatch, reencryptBatch } from '../../messages/batch.ts';
import type { ByteStream } from '../../streams/byte-stream.ts';
import { openEncryptionKeys } from '../../keys/encryption-keys.ts';
import type { Arguments } from '../arguments.ts';
import { prepareMove } from '../move.ts';
import { checkBatchArguments, prepareBatch, prepareKeys, type Streams } from '../keys.ts';
import { checkUser, type Settings } from '../settings.ts';
import type { Voice } from '../terminal/notices.ts';
import { visibleJson } from '../terminal/visible-text.ts';

export async function encryptBatchCommand(args: Arguments, voice: Voice): Promise<void> {
  checkBatchArguments(args);
  const { settings, key, backupKeys, sources } = prepareKeys(args, 'ENCRYPTOR', voice);
  const streams = await prepareBatch(args);
  const keys = await openEncryptionKeys([key, ...backupKeys], sources);
  await runBatch(
    encryptBatch({ ...(await optionsOf(args, settings, streams)), keys }),
    streams,
    voice,
  );
}

export async function decryptBatchCommand(args: Arguments, voice: Voice): Promise<void> {
  checkBatchArguments(args);
  const { settings, key, backupKeys, oldKeys, sources } = prepareKeys(args, 'DECRYPTOR', voice);
  const streams = await prepareBatch(args);
  const batch = decryptBatch({
    ...(await optionsOf(args, settings, streams)),
    keys: [key, ...backupKeys, ...oldKeys],
    sources,
    onOtherKey: (name) => {
      voice.warn(`some lines were opened with ${name}, which is not the first key.`);
    },
  });
  await runBatch(batch, streams, voice);
}

export async function reencryptBatchCommand(args: Arguments, voice: Voice): Promise<void> {
  checkBatchArguments(args);
  const keys = prepareKeys(args, 'DECRYPTOR', voice);
  const openMove = prepareMove(keys, voice);
  const streams = await prepareBatch(args, { inPlace: true });
  const move = await openMove();
  const options = await optionsOf(args, keys.settings, streams);
  const batch = reencryptBatch({ ...options, ...move, prove: streams.output.replacesFile });
  await runBatch(batch, streams, voice);
}

const optionsOf = async (args: Arguments, { users }: Settings, { input }: Streams) => ({
  input: await input.read(''), // never asked for
  defaultUser: args.user,
  checkUser: (user: string) => checkUser(user, users),
});

async function runBatch(
  { output, counts }: Batch,
  { output: target }: Streams,
  voice: Voice,
): Promise<void> {
  await target.write(target.isTerminal ? visible(output) : output);
  const { lines, failed, worstStatus } = counts;
  if (failed > 0) {
    voice.notice(`${failed} of ${lines} lines failed: each has an "error" that says why.`);
  }
  process.exitCode = worstStatus;
}

/** @param lines in pieces that are whole lines */
async function* visible(lines: ByteStream): ByteStream {
  for await (const piece of lines) yield Buffer.from(visibleJson(Buffer.from(piece).toString()));
}
