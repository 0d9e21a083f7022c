/** Asks who the message is for: a menu of the users, or a name if any is allowed. */
import process, { env, stderr, stdin } from 'node:process';

import { KmsPocError } from '../../errors.ts';
import { isUserName, userNameRule } from '../../formats/user-name.ts';

/** Whether questions can be asked and seen. */
export const isInteractive = (): boolean => stdin.isTTY && stderr.isTTY;

/** @throws KmsPocError Interrupted */
export async function askUser(users: readonly string[] | '*'): Promise<string> {
  // https://no-color.org: prompts only knows Node's older name for it, and checks when it is
  // loaded.
  if (env.NO_COLOR) env.NODE_DISABLE_COLORS = '1';
  const { default: prompts } = await import('prompts');
  // prompts hides the cursor, and doesn't notice when a signal ends the command.
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
  // At the end of its input, prompts resolves without an answer.
  if (typeof user !== 'string') throw new KmsPocError('Interrupted', 'Interrupted.');
  return user;
}
