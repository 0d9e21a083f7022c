/**
 * Everything that is said to people comes from here, on standard error: notices and errors.
 * (Questions are drawn by ask-*.ts, progress by status-line.ts.) Standard output carries the
 * payload and nothing else (payload/output.ts).
 *
 * - A notice or an error is one line that begins with the command's name. What to do about it is a
 *   second line that begins with `hint:`.
 * - Nothing is asked unless both standard input and standard error are a terminal.
 * - With --json, an error is one JSON object.
 * - The status line is always the last one: it is erased before anything else is written, and at
 *   the end.
 */
import { stderr } from 'node:process';

import { KmsPocError } from '../../errors.ts';
import type { CommandName } from '../options.ts';
import { clearStatus } from './status-line.ts';
import { visibleJson, visibleLine, visibleText } from './visible-text.ts';

export interface Notices {
  /** Something worth knowing; not shown with --quiet. */
  readonly notice: (text: string) => void;
  /** Something that must be known, even with --quiet. */
  readonly warn: (text: string) => void;
}

const say = (text: string): void => {
  clearStatus();
  stderr.write(`${text}\n`);
};

/** Says each thing once, however many messages, keys and roles run into it. */
export function createNotices(command: CommandName, isQuiet: boolean): Notices {
  const said = new Set<string>();
  const warn = (text: string): void => {
    if (said.has(text)) return;
    said.add(text);
    say(`${command}: ${visibleLine(text)}`);
  };
  return { warn, notice: isQuiet ? () => undefined : warn };
}

/** Ignores a reader that has gone: a notice nobody can read must not end the run. */
export function ignoreClosedStandardError(): void {
  stderr.on('error', () => undefined);
}

export function showError(command: CommandName, error: KmsPocError, asJson: boolean): void {
  if (asJson) {
    say(visibleJson(JSON.stringify({ error })));
    return;
  }
  const { message, hint } = error;
  say(`${command}: ${visibleLine(message)}`);
  if (hint !== undefined) say(`hint: ${visibleLine(hint)}`);
}

/**
 * For DEBUG=kms-poc. The text of an error is shown only where it is ours or the system's. Others
 * quote their input: a parser the message, a service the request, session token included, and a
 * program that gives credentials all that it printed.
 */
export function showStack(error: unknown): void {
  for (let each = error; each instanceof Error; each = each.cause) {
    const isTextSafe = each instanceof KmsPocError || 'syscall' in each;
    const frames = (each.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
    say(
      visibleText([isTextSafe ? `${each.name}: ${each.message}` : each.name, ...frames].join('\n')),
    );
  }
}

/** One line of what a long run tells as it goes on: there, it is the notice that is rare. */
export const showLine = (text: string): void => {
  say(visibleLine(text));
};

/** Says what the payload that follows on a terminal is; no line break is added. */
export function showLabel(text: string): void {
  clearStatus();
  stderr.write(text);
}
