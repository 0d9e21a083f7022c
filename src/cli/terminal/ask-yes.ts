/** Asks a question that is answered by y or n. */
import { readMessage } from './ask-message.ts';
import { visibleLine } from './visible-text.ts';
import { lineColumns } from './window.ts';
import { wrap } from './wrap.ts';

/**
 * @returns whether the answer is yes; Enter alone is no
 * @throws KmsPocError Interrupted, as `readMessage` does
 */
export async function askYes(question: string): Promise<boolean> {
  const prompt = `${wrap(`${visibleLine(question)} [y/N]`, lineColumns()).join('\n')} `;
  const answer = await readMessage({ prompt, refuse: () => undefined });
  return /^y(?:es)?$/i.test(Buffer.from(answer).toString().trim());
}
