/** `kms-decrypt --inspect`: a ciphertext in, a description of it out. */
import { exitStatus, usageError } from '../../errors.ts';
import { inspect } from '../../messages/inspect.ts';
import { streamOf } from '../../streams/byte-stream.ts';
import type { Arguments } from '../arguments.ts';
import { jsonLine } from '../payload/json-line.ts';
import { openStreams } from '../payload/streams.ts';
import { inspectionText } from '../terminal/inspection-text.ts';
import type { Command } from './command.ts';

/** Reads no settings, so that nothing wrong with them gets in the way. */
export const inspectCommand: Command = async (args) => {
  refuseOptions(args);
  const { input, output } = await openStreams(args);
  const inspection = await inspect(await input.read('Please enter the message to inspect: '));
  await output.write(
    args.json
      ? jsonLine(inspection)
      : streamOf(Buffer.from(inspectionText(inspection, output.columns ?? 80))),
  );
  return exitStatus.ok;
};

/**
 * If they were ignored, they would seem to have an effect: `--user alice` looks like a check of the
 * user.
 */
function refuseOptions(args: Arguments): void {
  const given = {
    user: args.user,
    key: args.key,
    batch: args.batch || undefined,
    'require-signed': args.requireSigned || undefined,
    region: args.region,
    profile: args.profile,
    'env-file': args.envFile,
  };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    throw usageError(
      `--inspect can't be combined with --${name}.`,
      `Remove --${name}: inspecting needs no user, key or setting, and makes no calls.`,
    );
  }
}
