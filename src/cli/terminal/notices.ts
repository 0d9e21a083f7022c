/**
 * All that people read comes from here, on standard error: prompts, notices, errors, progress.
 * Standard output carries the payload and nothing else (output.ts).
 *
 * - A notice or an error is one line that begins with the command's name; what to do about it is a
 *   second line that begins with `hint:`.
 * - Nothing is asked unless standard input and standard error are both a terminal.
 * - With --json an error is one JSON object.
 * - The status line is below all else: it is gone before anything else is written, and at the end.
 */
import process, { env, stderr, stdin } from 'node:process';

import { KmsPocError } from '../../errors.ts';
import { isUserName, userNameRule } from '../../formats/user-name.ts';
import type { CommandName } from '../arguments.ts';
import { visibleJson, visibleText } from './visible-text.ts';

/** Whether questions can be asked and seen. */
export const isInteractive = (): boolean => stdin.isTTY && stderr.isTTY;

export interface Voice {
  /** Something worth knowing; with --quiet it is not said. */
  notice(text: string): void;
  /** Something that must be known, --quiet or not. */
  warn(text: string): void;
}

const say = (text: string): void => {
  clearStatus();
  stderr.write(`${text}\n`);
};

/** Says each thing once, however many messages, keys and roles come upon it. */
export function createVoice(command: CommandName, isQuiet: boolean): Voice {
  const said = new Set<string>();
  const warn = (text: string): void => {
    if (said.has(text)) return;
    said.add(text);
    say(`${command}: ${visibleText(text)}`);
  };
  return { warn, notice: isQuiet ? () => undefined : warn };
}

/** Lets go of a reader that is gone: a notice nobody can read must not end the run. */
export function ignoreClosedStandardError(): void {
  stderr.on('error', () => undefined);
}

export function showError(command: CommandName, error: KmsPocError, asJson: boolean): void {
  if (asJson) {
    say(visibleJson(JSON.stringify({ error })));
    return;
  }
  const { message, hint } = error;
  say(`${command}: ${visibleText(message)}`);
  if (hint !== undefined) say(`hint: ${visibleText(hint)}`);
}

/**
 * For DEBUG=kms-poc. The text of an error is shown where it is ours, the system's or a service's:
 * others (a parser's, say) quote their input, which may be the message. A service that refuses a
 * signature quotes the whole request, session token included.
 */
export function showStack(error: unknown): void {
  const isAboutCredentials = error instanceof KmsPocError && error.code === 'Credentials';
  for (let each = error; each instanceof Error; each = each.cause) {
    const isService = '$metadata' in each && !isAboutCredentials;
    const isTextSafe = each instanceof KmsPocError || isService || 'syscall' in each;
    const frames = (each.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
    say(
      visibleText([isTextSafe ? `${each.name}: ${each.message}` : each.name, ...frames].join('\n')),
    );
  }
}

/** Says what the payload behind it on a terminal is; no line break is added. */
export function showLabel(text: string): void {
  clearStatus();
  stderr.write(text);
}

let status = '';
let isExitWatched = false;
let isAsking = false;

/** Whether a line can be drawn over. */
export const canShowStatus = (): boolean => stderr.isTTY && env.TERM !== 'dumb';

/**
 * Draws the status line, or draws it anew. The cursor waits at its start: where a terminal breaks
 * the line in two because its window became narrower, all of it can still be erased from there.
 *
 * @param text given the columns that it may take
 */
export function showStatus(text: (columns: number) => string): void {
  if (isAsking) return;
  if (!isExitWatched) process.once('exit', clearStatus);
  isExitWatched = true;
  const erase = eraseStatus();
  status = text(statusColumns());
  stderr.write(`\r${status}${erase}\r`);
}

function clearStatus(): void {
  if (status === '') return;
  stderr.write(`\r${eraseStatus()}`);
  status = '';
}

/**
 * A serial line doesn't know its size. The last column stays free: terminals differ in where the
 * cursor goes from it.
 */
const statusColumns = (): number => (stderr.columns > 0 ? stderr.columns : 80) - 1;

/** To the end of the line, or of the screen where the line may take several rows by now. */
const eraseStatus = (): string => (status.length > statusColumns() ? '\x1b[J' : '\x1b[K');

/** Keeps the status line away while a question waits for its answer. */
export async function whileAsking<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  clearStatus();
  isAsking = true;
  try {
    return await ask();
  } finally {
    isAsking = false;
  }
}

/**
 * Asks who the message is for: a menu of the users, or a name where any is allowed.
 *
 * @throws KmsPocError Interrupted
 */
export async function askUser(users: readonly string[] | '*'): Promise<string> {
  // https://no-color.org: prompts knows it under Node's older name only, and looks when it is loaded.
  if (env.NO_COLOR) env.NODE_DISABLE_COLORS = '1';
  const { default: prompts } = await import('prompts');
  // It hides the cursor, and a signal ends the command without its knowing.
  const showCursor = (): void => {
    stderr.write('\x1b[?25h');
  };
  process.once('exit', showCursor);
  const common = { name: 'user', stdout: stderr } as const;
  const answer = await prompts(
    users === '*'
      ? {
          ...common,
          type: 'text',
          message: 'What is your user name?',
          validate: (name: string) => isUserName(name) || userNameRule,
        }
      : {
          ...common,
          type: 'select',
          message: 'Who are you?',
          choices: users.map((user) => ({ title: user, value: user })),
        },
    {
      onCancel: () => {
        throw new KmsPocError('Interrupted', 'Interrupted.');
      },
    },
  );
  process.off('exit', showCursor);
  const { user } = answer as { user?: unknown };
  // At the end of its input prompts settles without an answer.
  if (typeof user !== 'string') throw new KmsPocError('Interrupted', 'Interrupted.');
  return user;
}
