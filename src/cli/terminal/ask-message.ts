/**
 * Reads one message from a person on a raw terminal, typed or pasted, as exact bytes. A terminal in
 * its usual, cooked mode cuts a line off at 4,095 bytes (1,024 on macOS) and hands the remaining
 * lines of a paste to whatever reads next: the shell.
 */
import { isUtf8 } from 'node:buffer';
import type { ReadStream, WriteStream } from 'node:tty';
import { KmsPocError, usageError } from '../../errors.ts';
import { createLineEditor, type Outcome } from './line-editor.ts';
import { layOut, redraw } from './wrap.ts';

// The terminal puts ESC[200~ and ESC[201~ around a paste, which tells it apart from keys.
const bracketedPasteOn = '\x1b[?2004h';
const bracketedPasteOff = '\x1b[?2004l';

/**
 * What belongs together arrives faster than this, even over a slow connection; people type slower.
 */
const pauseMs = 100;

/** In raw mode Ctrl-C arrives as a byte; these come from outside. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Asks for a message, and asks again if it was empty. For the keys and the handling of pastes, see
 * `createLineEditor`. Ctrl-Z suspends. However this ends, the terminal is restored.
 *
 * @param options.prompt shown before the message, including the space between them
 * @param options.hidden show nothing of what is typed
 * @param options.input the terminal to read, by default standard input
 * @param options.output the terminal to draw on, by default standard error, because standard output
 *   carries the payload
 * @returns the message: UTF-8, at least one byte, without the Enter that ended it
 * @throws KmsPocError `Interrupted` on Ctrl-C, on Ctrl-D or Esc instead of a message, on SIGINT,
 *   and on SIGTERM or SIGHUP if another listener handles those; otherwise they end the process, and
 *   so does the end of the input, which means that the terminal is gone; `Usage` if the terminal
 *   sent anything but UTF-8
 */
export function readMessage({
  prompt,
  hidden = false,
  input = process.stdin,
  output = process.stderr,
}: {
  prompt: string;
  hidden?: boolean;
  input?: ReadStream;
  output?: WriteStream;
}): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const editor = createLineEditor();
    let shown = [''];
    let timer: NodeJS.Timeout | undefined;
    let immediate: NodeJS.Immediate | undefined;
    let isFinished = false;

    const draw = (): void => {
      const size = windowSize(output);
      const wanted = layOut(prompt + (hidden ? '' : editor.visible()), size.columns);
      const change = redraw(shown, wanted, size);
      if (change !== '') output.write(change);
      shown = wanted;
    };
    const drawAnew = (): void => {
      // Erases what was typed ahead and echoed by the terminal itself: it is drawn again below.
      output.write('\r\x1b[K');
      shown = [''];
      draw();
    };
    const enterRawMode = (): void => {
      input.setRawMode(true);
      output.write(bracketedPasteOn);
    };
    const leaveRawMode = (): void => {
      output.write(`${bracketedPasteOff}\r\n`);
      input.setRawMode(false);
    };

    const finish = (): void => {
      // A terminal that is gone causes errors here, which lead back to this function.
      if (isFinished) return;
      isFinished = true;
      clearTimeout(timer);
      clearImmediate(immediate);
      leaveRawMode();
      input.off('data', onData).off('end', onGone).off('close', onGone).off('error', onGone);
      input.pause();
      output.off('error', onGone);
      for (const signal of signals) process.off(signal, onSignal);
      process.off('SIGCONT', onContinued).off('exit', leaveRawMode);
    };
    const fail = (error: KmsPocError): void => {
      finish();
      reject(error);
    };

    const act = (outcome: Outcome): void => {
      if (outcome === 'interrupted') {
        fail(new KmsPocError('Interrupted', 'Interrupted.'));
        return;
      }
      if (outcome === 'suspended') {
        leaveRawMode();
        process.off('SIGCONT', onContinued);
        // As the terminal does in its usual mode: the whole group is suspended, or npm would keep
        // waiting. The process stops here, and continues here when the shell says so, or at once if
        // there is no shell.
        process.kill(0, 'SIGTSTP');
        process.on('SIGCONT', onContinued);
        onContinued();
        return;
      }
      draw();
      if (outcome === undefined) return;
      const message = editor.message();
      if (message.length === 0) {
        output.write('\r\nNothing was typed.\r\n');
        drawAnew();
      } else if (!isUtf8(message)) {
        fail(
          usageError(
            'The terminal sent a message that is not UTF-8 text.',
            'Set the terminal to UTF-8, or use --in FILE or a pipe.',
          ),
        );
      } else {
        finish();
        resolve(message);
      }
    };
    // Also after a SIGSTOP from outside: the shell has reset the terminal, with echo, but Node
    // thinks that it is raw until told otherwise.
    const onContinued = (): void => {
      input.setRawMode(false);
      enterRawMode();
      drawAnew();
    };
    const onData = (chunk: Buffer): void => {
      clearTimeout(timer);
      clearImmediate(immediate);
      timer = setTimeout(() => {
        // On a busy machine the timer may be late too, so whatever has arrived by now is read
        // first.
        immediate = setImmediate(() => {
          act(editor.pause());
        });
      }, pauseMs);
      act(editor.feed(chunk));
    };
    const onSignal = (signal: NodeJS.Signals): void => {
      fail(new KmsPocError('Interrupted', 'Interrupted.'));
      // With our listener removed, the signal does what it does by default.
      if (signal !== 'SIGINT' && process.listenerCount(signal) === 0) {
        process.kill(process.pid, signal);
      }
    };
    // The kernel's SIGHUP is on its way, or went to other processes. A normal exit isn't possible:
    // Node 20 aborts, with a core dump, when it can't restore a terminal.
    const onGone = (): void => {
      onSignal('SIGHUP');
    };

    // A crash must not leave a terminal that doesn't show what is typed.
    process.once('exit', leaveRawMode).on('SIGCONT', onContinued);
    for (const signal of signals) process.on(signal, onSignal);
    output.on('error', onGone);
    input.on('end', onGone).on('close', onGone).on('error', onGone);
    enterRawMode();
    drawAnew();
    input.on('data', onData).resume();
  });
}

/** A serial line doesn't know its size: it reports 0, or nothing. */
function windowSize({ columns, rows }: WriteStream): { columns: number; rows: number } {
  return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
}
