/**
 * Where a run's payload comes from and goes to, and who it is for. Anything that can be wrong is
 * found before a message is asked for.
 */
import { stdin } from 'node:process';

import { usageError } from '../../errors.ts';
import { expandFileName } from '../../formats/file-name.ts';
import type { Arguments } from '../arguments.ts';
import type { FileInUse } from '../files-in-use.ts';
import type { Settings } from '../settings.ts';
import { askUser, isInteractive } from '../terminal/ask-user.ts';
import { checkCiphertextOutput } from './ciphertext-output.ts';
import { type Input, openInput } from './input.ts';
import { openOutput, type Output } from './output.ts';
import { withProgress } from './progress.ts';

export interface Streams {
  readonly input: Input;
  readonly output: Output;
}

interface StreamOptions {
  /** Whether the output may be the input's file, to be replaced in one step. */
  readonly inPlace?: boolean;
  /** Whether to read a whole frame at a time: see input.ts. */
  readonly inWholeFrames?: boolean;
  /** Files of this run that the output must not replace. */
  readonly inUse?: readonly FileInUse[];
}

/** @throws KmsPocError Usage */
export async function openStreams(
  args: Arguments,
  { inPlace = false, inWholeFrames = false, inUse = [] }: StreamOptions = {},
): Promise<Streams> {
  const file = (name: string | undefined, option: string): string | undefined =>
    name && expandFileName(name, option);
  const input = await openInput(file(args.in, '--in'), args.hide, inWholeFrames);
  const output = await openOutput(file(args.out, '--out'), input, { mayBeInput: inPlace, inUse });
  // On a terminal the payload itself shows the progress; --json is for programs.
  const isSilent = args.quiet || args.json || output.isTerminal;
  return { input: isSilent ? input : withProgress(input, args.batch), output };
}

/**
 * For a single message: its streams and its user, who is asked for in a terminal.
 *
 * @throws KmsPocError
 */
export async function openMessage(
  args: Arguments,
  settings: Settings,
  options: StreamOptions = {},
): Promise<Streams & { readonly user: string }> {
  if (args.user === undefined && !isInteractive()) {
    throw usageError('No user given.', 'Use --user NAME.');
  }
  const streams = await openStreams(args, options);
  checkCiphertextOutput(args, streams.output);
  return { ...streams, user: args.user ?? (await askUser(settings.users())) };
}

/**
 * For `--batch`, where each line may name its user, and nothing is ever asked.
 *
 * @throws KmsPocError
 */
export async function openBatch(args: Arguments, options: StreamOptions = {}): Promise<Streams> {
  if (stdin.isTTY && (args.in === undefined || args.in === '-')) {
    throw usageError(
      '--batch needs a pipe or --in FILE: standard input is a terminal.',
      'Pipe the lines in (--batch < FILE), or name their file with --in.',
    );
  }
  return openStreams(args, options);
}

/** @throws KmsPocError Usage, for options that make no sense for a batch */
export function checkBatchArguments(args: Arguments): void {
  for (const name of ['json', 'binary', 'hide'] as const) {
    if (args[name]) {
      throw usageError(
        `--batch can't be combined with --${name}.`,
        'A batch is JSON Lines in and out: remove one of the two.',
      );
    }
  }
}
