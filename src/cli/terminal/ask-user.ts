/** Asks who the message is for: a menu of the users, or a name if any is allowed. */
import { stderr, stdin } from 'node:process';

import { isUserName, userNameRule } from '../../formats/user-name.ts';
import { readMessage } from './ask-message.ts';
import { isDumb } from './raw-terminal.ts';
import { lineColumns } from './window.ts';
import { wrap } from './wrap.ts';

/** Whether questions can be asked and seen. */
export const isInteractive = (): boolean => stdin.isTTY && stderr.isTTY;

/** @throws KmsPocError Interrupted */
export async function askUser(users: readonly string[] | '*'): Promise<string> {
  if (users === '*') {
    return askName('What is your user name? ', (name) =>
      isUserName(name) ? undefined : userNameRule,
    );
  }
  if (!isDumb()) {
    const { askInMenu } = await import('./menu.ts');
    return askInMenu(users);
  }
  // A menu can't be drawn there.
  stderr.write(`${wrap(`The users are ${users.join(', ')}.`, lineColumns()).join('\n')}\n`);
  return askName('Who are you? ', (name) => (users.includes(name) ? undefined : noSuchUser));
}

const noSuchUser = 'There is no such user.';

async function askName(
  prompt: string,
  refuse: (name: string) => string | undefined,
): Promise<string> {
  return Buffer.from(await readMessage({ prompt, refuse })).toString();
}
