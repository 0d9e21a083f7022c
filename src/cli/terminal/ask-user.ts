/** Asks who the message is for: a menu of the users, or a name if any is allowed. */
import { stderr, stdin } from 'node:process';

import { isUserName, userNameRule } from '../../formats/user-name.ts';
import { readMessage } from './ask-message.ts';
import { isDumb } from './raw-terminal.ts';

/** Whether questions can be asked and seen. */
export const isInteractive = (): boolean => stdin.isTTY && stderr.isTTY;

/** @throws KmsPocError Interrupted */
export async function askUser(users: readonly string[] | '*'): Promise<string> {
  if (isDumb()) return askOnDumbTerminal(users);
  const { askInMenu } = await import('./menu.ts');
  return askInMenu(users);
}

/** A menu can't be drawn there. */
async function askOnDumbTerminal(users: readonly string[] | '*'): Promise<string> {
  if (users !== '*') stderr.write(`The users are ${users.join(', ')}.\n`);
  const answer = await readMessage({
    prompt: users === '*' ? 'What is your user name? ' : 'Who are you? ',
    refuse: (name) => {
      if (users === '*') return isUserName(name) ? undefined : userNameRule;
      return users.includes(name) ? undefined : 'There is no such user.';
    },
  });
  return Buffer.from(answer).toString();
}
