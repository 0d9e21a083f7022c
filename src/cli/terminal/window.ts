/** The window that prompts and notices are drawn in. */
import { stderr } from 'node:process';

export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
}

/** A serial line doesn't know its size: it reports 0, or nothing. */
export function windowSize(): WindowSize {
  const { columns, rows } = stderr;
  return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
}

/** The last column stays free: terminals differ in where the cursor goes from there. */
export const lineColumns = (): number => windowSize().columns - 1;
