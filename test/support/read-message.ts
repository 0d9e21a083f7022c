/**
 * Asks for messages on the terminal and prints on standard output what was entered, in hexadecimal.
 * Arguments: how many messages, the prompt, and `hidden`, `wait` (for SIGUSR2, before it asks) or
 * `crash` (on SIGUSR2, while it asks).
 */
import { once } from 'node:events';
import { readMessage } from '../../src/cli/terminal/ask-message.ts';
import { KmsPocError } from '../../src/errors.ts';

const [count = '1', prompt = 'message: ', mode] = process.argv.slice(2);
const waited = mode === 'wait' ? once(process, 'SIGUSR2') : undefined;
console.log(`process ${process.pid}`);
if (waited !== undefined) {
  // Waiting for a signal doesn't keep a process alive.
  const alive = setInterval(() => undefined, 1_000);
  await waited;
  clearInterval(alive);
}
if (mode === 'crash') {
  process.once('SIGUSR2', () => {
    throw new Error('A bug.');
  });
}
try {
  for (let i = 0; i < Number(count); i++) {
    const message = await readMessage({ prompt, hidden: mode === 'hidden' });
    console.log(`got ${Buffer.from(message).toString('hex')}.`);
  }
  const left = process.eventNames().map((name) => `${String(name)} ${process.listenerCount(name)}`);
  console.log(`listeners left: ${left.join(', ')}`);
} catch (error) {
  if (!(error instanceof KmsPocError)) throw error;
  console.log(`${error.code}: ${error.message}`);
  process.exitCode = error.status;
}
