/** `--batch` of both commands: JSON Lines in and out. */
import process from 'node:process';

import { type Batch, decryptBatch, encryptBatch } from '../commands/batch.ts';
import type { ByteStream } from '../formats/byte-stream.ts';
import { type EncryptionKey, openEncryptionKey } from '../keys/encryption-keys.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import type { Arguments } from './arguments.ts';
import { type PreparedBatch, prepareBatch } from './prepare.ts';
import type { Voice } from './terminal.ts';
import { visibleJson } from './visible-text.ts';

export async function encryptBatchCommand(args: Arguments, voice: Voice): Promise<void> {
  const prepared = await prepareBatch(args, 'ENCRYPTOR', voice);
  const { key, backupKeys, sources } = prepared;
  const open = (reference: KeyReference): Promise<EncryptionKey> =>
    openEncryptionKey(reference, sources);
  const keys = await Promise.all([open(key), ...backupKeys.map(open)]);
  const options = { ...(await optionsOf(args, prepared)), keys };
  await runBatch(encryptBatch(options), prepared, voice);
}

export async function decryptBatchCommand(args: Arguments, voice: Voice): Promise<void> {
  const prepared = await prepareBatch(args, 'DECRYPTOR', voice);
  const { key, backupKeys, oldKeys, sources } = prepared;
  const announced = new Set<string>();
  const batch = decryptBatch({
    ...(await optionsOf(args, prepared)),
    keys: [key, ...backupKeys, ...oldKeys],
    sources,
    onOtherKey: (name) => {
      if (announced.has(name)) return;
      announced.add(name);
      voice.warn(`some lines were opened with ${name}, which is not the first key.`);
    },
  });
  await runBatch(batch, prepared, voice);
}

const optionsOf = async (args: Arguments, { input, checkUser }: PreparedBatch) => ({
  input: await input.read(''), // never asked for
  defaultUser: args.user,
  checkUser,
});

async function runBatch(
  { output, counts }: Batch,
  { output: target }: PreparedBatch,
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
