/**
 * Runs a command from start to exit: the only place that catches errors, and the only one that
 * exits.
 */
import process, { argv, env } from 'node:process';
import { isatty } from 'node:tty';

import { type ExitStatus, exitStatus, KmsPocError, usageError } from '../errors.ts';
import { streamOf } from '../streams/byte-stream.ts';
import { deferredSignal, interrupt } from './interruption.ts';
import type { CommandName } from './options.ts';
import { standardOutput } from './payload/output.ts';
import {
  createNotices,
  ignoreClosedStandardError,
  showError,
  showStack,
} from './terminal/notices.ts';

/** Set by scripts/build.ts: with the file it comes from, all of that would be in the bundle. */
declare const packageVersion: string;

/** Those of standard input, output and error that are one. */
const terminals = [0, 1, 2].filter(isatty);

export async function run(name: CommandName): Promise<void> {
  silenceLibraries();
  ignoreClosedStandardError();
  const fail = (error: unknown): void => {
    const status = explain(name, error);
    const signal = deferredSignal();
    if (signal !== undefined) endBy(signal);
    exit(status);
  };
  // A promise that nobody awaits must not end as a success, or as a page of source code.
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  endOnSignals();
  try {
    // Not left to the event loop, which an idle connection to KMS would keep running for seconds.
    exit(await carryOut(name));
  } catch (error) {
    fail(error);
  }
}

/**
 * arguments → settings → keys → command → output: everything after the arguments is up to the
 * command.
 */
async function carryOut(name: CommandName): Promise<ExitStatus> {
  requireCurrentFolder();
  const [{ parseArguments }, { loadCommand }] = await Promise.all([
    import('./arguments.ts'),
    import('./commands/load.ts'),
  ]);
  const args = await parseArguments(
    name,
    argv.slice(2),
    packageVersion,
    standardOutput.columns ?? 80,
  );
  if ('information' in args) {
    await standardOutput.write(streamOf(Buffer.from(args.information)));
    return exitStatus.ok;
  }
  const command = await loadCommand(name, args);
  return command(args, createNotices(name, args.quiet));
}

/**
 * What libraries and Node itself warn of is for developers, not for those who run a command; and on
 * standard output it would be part of the payload.
 */
function silenceLibraries(): void {
  env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  process.removeAllListeners('warning');
  const ignore = (): void => undefined;
  Object.assign(console, {
    ...{ debug: ignore, error: ignore, info: ignore, log: ignore, trace: ignore, warn: ignore },
  });
}

/** A folder can be deleted under a command: yargs does not even load then, nor is a path found. */
function requireCurrentFolder(): void {
  try {
    process.cwd();
  } catch (cause) {
    throw usageError('The current folder no longer exists.', 'Change to another folder with cd.', {
      cause,
    });
  }
}

/** Reports an error, and returns the status to end with. */
function explain(name: CommandName, error: unknown): ExitStatus {
  const known =
    error instanceof KmsPocError
      ? error
      : new KmsPocError(
          'Unexpected',
          `Unexpected error (${error instanceof Error ? error.name : typeof error}).`,
          'This is a bug. Run it again with DEBUG=kms-poc in the environment to see where.',
        );
  // Someone who closed the output wants no more of it; someone who pressed Ctrl-C knows.
  if (known.code !== 'OutputClosed' && known.code !== 'Interrupted') {
    // Looked up in the raw arguments, because those may themselves be the error.
    showError(name, known, argv.includes('--json'));
  }
  if (env.DEBUG === 'kms-poc') showStack(error);
  return known.status;
}

function exit(status: ExitStatus): void {
  // Node would abort, with a core dump that can hold the message, because it can't restore a
  // terminal that is gone. This is how a closed window usually ends a program.
  if (!terminals.every(isatty)) endBy('SIGHUP');
  else process.exit(status);
}

function endOnSignals(): void {
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!interrupt(signal)) endBy(signal);
    });
  }
}

/**
 * Cleans up, then ends by the signal itself: the shell sees 128 + the signal's number, and a script
 * that called the command ends too. `process.exit` won't do: it waits for every pending file
 * operation, which takes for ever for a FIFO with nobody at the other end.
 */
function endBy(signal: NodeJS.Signals): void {
  process.emit('exit', exitStatus.interrupted); // removes temporary files, resets the terminal
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
