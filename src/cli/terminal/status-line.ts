/**
 * The last line of the terminal, redrawn as work goes on. It is always the last one: erased before
 * anything else is written, and at the end.
 */
import process, { stderr } from 'node:process';

import { isDumb } from './raw-terminal.ts';
import { lineColumns } from './window.ts';

let status = '';
let isExitWatched = false;
let isAsking = false;

/** Whether a line can be redrawn. */
export const canShowStatus = (): boolean => stderr.isTTY && !isDumb();

/**
 * Draws or redraws the status line. The cursor stays at its start, so that all of it can still be
 * erased if the window becomes narrower and the terminal breaks the line in two.
 *
 * @param text receives the number of columns that it may take
 */
export function showStatus(text: (columns: number) => string): void {
  if (isAsking) return;
  if (!isExitWatched) process.once('exit', clearStatus);
  isExitWatched = true;
  const erase = eraseStatus();
  status = text(lineColumns());
  stderr.write(`\r${status}${erase}\r`);
}

export function clearStatus(): void {
  if (status === '') return;
  stderr.write(`\r${eraseStatus()}`);
  status = '';
}

/** Erases to the end of the line, or of the screen if the line may take several rows by now. */
const eraseStatus = (): string => (status.length > lineColumns() ? '\x1b[J' : '\x1b[K');

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
