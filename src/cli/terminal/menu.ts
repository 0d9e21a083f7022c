/** The menu of users, drawn by `prompts`. */
import { env, stderr, stdin } from 'node:process';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { interrupted } from '../../errors.ts';
import { createTerminalInput, type KeyName } from './key-bytes.ts';
import { askOnRawTerminal } from './raw-terminal.ts';

const ctrlZ = 0x1a;

/** More than any name has, and drawn in no time if a ciphertext is pasted here by mistake. */
const mostTyped = 65;

/** What prompts listens to; as Node describes it for `readline.emitKeypressEvents`. */
interface Keypress {
  readonly name?: string;
  readonly ctrl?: boolean;
}

/** What we need of a prompt while it is shown. */
interface Drawn {
  firstRender: boolean;
  /** The index of the chosen entry. */
  select: number;
  render: () => void;
}

/** For the keys that prompts knows; Insert, for example, would type the word `undefined`. */
const keypresses = new Map<string | number, Keypress>([
  ...['left', 'right', 'up', 'down', 'delete'].map((name) => [name, { name }] as const),
  ['pageUp', { name: 'pageup' }],
  ['pageDown', { name: 'pagedown' }],
  ['home', { name: 'a', ctrl: true }],
  [0x01, { name: 'a', ctrl: true }],
  ['end', { name: 'e', ctrl: true }],
  [0x05, { name: 'e', ctrl: true }],
  [0x03, { name: 'c', ctrl: true }],
  [0x04, { name: 'd', ctrl: true }],
  [0x08, { name: 'backspace' }],
  [0x7f, { name: 'backspace' }],
  [0x09, { name: 'tab' }],
  [0x0a, { name: 'return' }],
  [0x0d, { name: 'return' }],
  [0x15, { name: 'g', ctrl: true }], // Ctrl-U: prompts has Ctrl-G for it
  [0x17, { name: 'g', ctrl: true }], // Ctrl-W
]);

/**
 * What is typed filters the users, and Enter chooses the one that is marked, if any is left.
 *
 * @throws KmsPocError Interrupted
 */
export async function askInMenu(users: readonly string[]): Promise<string> {
  // https://no-color.org: prompts only knows Node's older name for it, and checks when it is
  // loaded.
  if (env.NO_COLOR) env.NODE_DISABLE_COLORS = '1';
  const { default: prompts } = await import('prompts');
  const showCursor = '\x1b[?25h'; // prompts hides it
  return askOnRawTerminal({ on: '', off: showCursor }, (terminal) => {
    // prompts is not given the terminal: it would miss signals, Ctrl-Z and the end of the input.
    const keys = new PassThrough();
    const input = createTerminalInput();
    let drawn: Drawn | undefined;
    const keep = (prompt: Drawn): void => {
      drawn = prompt;
    };
    let typed = '';
    let matches = users;
    let isOver = false;
    let hasExited = false;

    const ask = async (): Promise<string> => {
      const answers: { user?: unknown } = await prompts(
        {
          name: 'user',
          stdin: keys,
          stdout: stderr,
          onRender(this: Drawn) {
            keep(this);
          },
          onState: (state: { exited?: boolean }) => {
            hasExited = state.exited === true;
          },
          type: 'autocomplete',
          message: 'Who are you?',
          choices: choicesOf(users),
          ...{ noMatches: 'There is no such user.' }, // its types don't know it
          suggest: (text: string) => {
            typed = text;
            // The arrow keys moved the mark among other entries.
            if (drawn !== undefined) drawn.select = 0;
            matches = matchingNames(users, typed);
            return Promise.resolve(choicesOf(matches));
          },
        },
        {
          onCancel: () => {
            throw interrupted();
          },
        },
      );
      // prompts takes Esc for a choice.
      if (hasExited || typeof answers.user !== 'string') throw interrupted();
      return answers.user;
    };

    const press = (key: number | KeyName): void => {
      const keypress = keypresses.get(key);
      if (key === ctrlZ) terminal.suspend();
      else if (keypress?.name === 'return' && matches.length === 0) stderr.write('\x07');
      else if (keypress !== undefined) keys.emit('keypress', undefined, keypress);
      // Names are ASCII. A byte of another character is shown as a letter that no name contains.
      else if (typeof key === 'number' && key >= 0x20 && typed.length < mostTyped) {
        keys.emit('keypress', key < 0x7f ? String.fromCharCode(key) : '?', {});
      }
    };

    let waiting: number[] = [];
    let isBusy = false;
    const work = async (): Promise<void> => {
      isBusy = true;
      for (let byte = waiting.shift(); byte !== undefined; byte = waiting.shift()) {
        const key = input.take(byte);
        if (typeof key === 'number' || typeof key === 'string') press(key);
        await nextTurn(); // prompts filters asynchronously
        if (isOver) {
          stdin.unshift(Buffer.from(waiting)); // typed ahead, for the next question
          return;
        }
      }
      isBusy = false;
    };

    return {
      feed: (chunk) => {
        waiting = [...waiting, ...chunk];
        if (!isBusy) void work();
      },
      pause: () => {
        if (input.pause()) keys.emit('keypress', undefined, { name: 'escape' });
      },
      draw: () => {
        if (drawn === undefined) {
          ask()
            .finally(() => {
              isOver = true;
            })
            .then(terminal.answer, terminal.fail);
        } else {
          drawn.firstRender = true;
          drawn.render();
        }
      },
    };
  });
}

const choicesOf = (users: readonly string[]): { title: string; value: string }[] =>
  users.map((user) => ({ title: user, value: user }));

/**
 * A name that only contains what is typed is not shown: `ann` must not choose joann.
 *
 * @returns the names that begin with what is typed, that name itself first
 */
function matchingNames(names: readonly string[], typed: string): string[] {
  const isTyped = (name: string): number => (name === typed ? 0 : 1);
  return names
    .filter((name) => name.toLowerCase().startsWith(typed.toLowerCase()))
    .sort((one, other) => isTyped(one) - isTyped(other));
}
