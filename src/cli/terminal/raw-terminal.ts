/**
 * The terminal while a question waits for its answer: raw, so that keys come as they are pressed,
 * and restored however the question ends. Questions are drawn on standard error, because standard
 * output carries the payload.
 */
import process, { env, stderr, stdin } from 'node:process';
import { isatty } from 'node:tty';

import { interrupted } from '../../errors.ts';

/** Whether the terminal knows no escape sequences: that of an editor, say. */
export const isDumb = (): boolean => env.TERM === 'dumb';

/**
 * What belongs together arrives faster than this, even over a slow connection; people type slower.
 */
const pauseMs = 100;

/** In raw mode Ctrl-C arrives as a byte; these come from outside. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface Question {
  /** Takes what the terminal sent in one read. */
  readonly feed: (chunk: Buffer) => void;
  /** To be called when nothing has arrived for a while. */
  readonly pause: () => void;
  /** Draws the question on the row of the cursor: at first, and after the command was suspended. */
  readonly draw: () => void;
}

interface RawTerminal<Answer> {
  /** Restores the terminal, and ends the question. */
  readonly answer: (answer: Answer) => void;
  /** Restores the terminal, and ends the question with an error. */
  readonly fail: (error: Error) => void;
  /** Ctrl-Z: restores the terminal, suspends the command, and draws the question again. */
  readonly suspend: () => void;
}

/**
 * Asks a question on the raw terminal.
 *
 * @param modes what to write to the terminal before the question and after it
 * @throws KmsPocError `Interrupted` on SIGINT, and on SIGTERM or SIGHUP if another listener handles
 *   those; otherwise they end the process, and so does the end of the input, which means that the
 *   terminal is gone
 */
export function askOnRawTerminal<Answer>(
  modes: { readonly on: string; readonly off: string },
  createQuestion: (terminal: RawTerminal<Answer>) => Question,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let immediate: NodeJS.Immediate | undefined;
    let isFinished = false;

    const take = (): void => {
      stdin.setRawMode(true);
      stderr.write(modes.on);
    };
    const restore = (): void => {
      stderr.write(modes.off);
      if (isatty(stdin.fd)) stdin.setRawMode(false); // else it is gone
    };
    // Without an answer, the cursor is in the middle of the question.
    const abandon = (): void => {
      stderr.write('\r\n');
      restore();
    };

    const finish = (): void => {
      isFinished = true;
      clearTimeout(timer);
      clearImmediate(immediate);
      stdin.off('data', onData).off('end', onGone).off('close', onGone).off('error', onGone);
      stdin.pause();
      stderr.off('error', onGone);
      for (const signal of signals) process.off(signal, onSignal);
      process.off('SIGCONT', onContinued).off('exit', abandon);
    };

    const question = createQuestion({
      answer: (answer) => {
        finish();
        restore();
        resolve(answer);
      },
      fail: (error) => {
        finish();
        restore();
        reject(error);
      },
      suspend: () => {
        abandon();
        process.off('SIGCONT', onContinued);
        // As the terminal does in its usual mode: the whole group is suspended, or npm would keep
        // waiting. The process stops here, and continues here when the shell says so, or at once if
        // there is no shell.
        process.kill(0, 'SIGTSTP');
        process.on('SIGCONT', onContinued);
        onContinued();
      },
    });

    // Also after a SIGSTOP from outside: the shell has reset the terminal, with echo, but Node
    // thinks that it is raw until told otherwise.
    const onContinued = (): void => {
      stdin.setRawMode(false);
      take();
      question.draw();
    };
    const onData = (chunk: Buffer): void => {
      clearTimeout(timer);
      clearImmediate(immediate);
      timer = setTimeout(() => {
        // On a busy machine the timer may be late too, so whatever has arrived by now is read
        // first.
        immediate = setImmediate(question.pause);
      }, pauseMs);
      question.feed(chunk);
    };
    const onSignal = (signal: NodeJS.Signals): void => {
      if (isFinished) return;
      finish();
      abandon();
      reject(interrupted());
      // With our listener removed, the signal does what it does by default.
      if (signal !== 'SIGINT' && process.listenerCount(signal) === 0) {
        process.kill(process.pid, signal);
      }
    };
    // The kernel's SIGHUP is on its way, or went to other processes.
    const onGone = (): void => {
      onSignal('SIGHUP');
    };

    // A crash must not leave a terminal that doesn't show what is typed.
    process.once('exit', abandon).on('SIGCONT', onContinued);
    for (const signal of signals) process.on(signal, onSignal);
    stderr.on('error', onGone);
    stdin.on('end', onGone).on('close', onGone).on('error', onGone);
    take();
    question.draw();
    stdin.on('data', onData).resume();
  });
}
