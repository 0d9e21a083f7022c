/**
 * Reads one message from a person on a raw terminal, typed or pasted, as exact bytes. A terminal in
 * its usual, cooked mode cuts a line off at 4,095 bytes (1,024 on macOS) and hands the remaining
 * lines of a paste to whatever reads next: the shell.
 */
import { isUtf8 } from 'node:buffer';
import { stderr } from 'node:process';

import { interrupted, usageError } from '../../errors.ts';
import { createLineEditor, type Outcome } from './line-editor.ts';
import { askOnRawTerminal, isDumb } from './raw-terminal.ts';
import { createRedraw } from './redraw.ts';
import { windowSize } from './window.ts';

// The terminal puts ESC[200~ and ESC[201~ around a paste, which tells it apart from keys.
const bracketedPaste = { on: '\x1b[?2004h', off: '\x1b[?2004l' };

/** Nobody can see blanks, so they were typed by mistake. */
const refuseBlanks = (text: string): string | undefined =>
  text.trim() === '' ? 'Nothing was typed.' : undefined;

/**
 * Asks for a message, and asks again if there was nothing but blanks. For the keys and the handling
 * of pastes, see `createLineEditor`. Ctrl-Z suspends. However this ends, the terminal is restored.
 *
 * @param options.prompt shown before the message, including the space between them
 * @param options.hidden show nothing of what is typed
 * @param options.refuse says what is wrong with an answer, if it is to be asked for again
 * @returns the message: UTF-8, without the Enter that ended it
 * @throws KmsPocError `Interrupted` on Ctrl-C, on Ctrl-D or Esc instead of a message, and as
 *   `askOnRawTerminal` says; `Usage` if the terminal sent anything but UTF-8
 */
export function readMessage({
  prompt,
  hidden = false,
  refuse = refuseBlanks,
}: {
  prompt: string;
  hidden?: boolean;
  refuse?: (text: string) => string | undefined;
}): Promise<Uint8Array> {
  const noModes = { on: '', off: '' };
  return askOnRawTerminal(isDumb() ? noModes : bracketedPaste, (terminal) => {
    let editor = createLineEditor();
    let redraw = createRedraw(isDumb());

    const show = (before: string, after: string): void => {
      const change = hidden
        ? redraw(prompt, '', windowSize())
        : redraw(prompt + before, after, windowSize());
      if (change !== '') stderr.write(change);
    };
    const draw = (): void => {
      // Erases what was typed ahead and echoed by the terminal itself: it is drawn again.
      stderr.write(isDumb() ? '\r' : '\r\x1b[K');
      redraw = createRedraw(isDumb());
      const { before, after } = editor.visible();
      show(before, after);
    };

    const act = (outcome: Outcome): void => {
      const { before, after } = editor.visible();
      if (outcome === undefined) {
        show(before, after);
        return;
      }
      // What comes next is written below the message, not into it.
      show(before + after, '');
      if (outcome === 'suspended') {
        terminal.suspend();
        return;
      }
      stderr.write('\r\n');
      if (outcome === 'interrupted') {
        terminal.fail(interrupted());
        return;
      }
      const message = editor.message();
      const problem = refuse(Buffer.from(message).toString());
      if (!isUtf8(message)) {
        terminal.fail(
          usageError(
            'The terminal sent a message that is not UTF-8 text.',
            'Set the terminal to UTF-8, or use --in FILE or a pipe.',
          ),
        );
      } else if (problem !== undefined) {
        stderr.write(`${problem}\r\n`);
        editor = createLineEditor();
        draw();
      } else {
        terminal.answer(message);
      }
    };

    return {
      feed: (chunk) => {
        act(editor.feed(chunk));
      },
      pause: () => {
        act(editor.pause());
      },
      draw,
    };
  });
}
