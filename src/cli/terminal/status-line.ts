/**
 * The last line of the terminal, drawn over as work goes on. It is below all else: gone before
 * anything else is written, and at the end.
 */
import process, { env, stderr } from 'node:process';

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

export function clearStatus(): void {
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
