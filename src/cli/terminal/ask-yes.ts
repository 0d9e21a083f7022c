/** Asks a question that is answered by y or n. */
import { stderr, stdin } from 'node:process';
import { createInterface } from 'node:readline/promises';

import { KmsPocError } from '../../errors.ts';
import { visibleLine } from './visible-text.ts';

/**
 * @param signal ends the question
 * @returns whether the answer is yes; Enter alone is no
 * @throws KmsPocError Interrupted, also for Ctrl-C and Ctrl-D
 */
export async function askYes(question: string, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: stdin, output: stderr });
  const gone = new AbortController();
  const leave = (): void => {
    gone.abort();
  };
  lines.once('SIGINT', leave).once('close', leave);
  try {
    const answer = await lines.question(`${visibleLine(question)} [y/N] `, {
      signal: AbortSignal.any([signal, gone.signal]),
    });
    return /^y(?:es)?$/i.test(answer.trim());
  } catch (cause) {
    stderr.write('\n');
    throw new KmsPocError('Interrupted', 'Interrupted.', undefined, { cause });
  } finally {
    lines.close();
  }
}
