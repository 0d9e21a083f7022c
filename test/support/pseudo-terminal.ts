/**
 * A terminal with nobody in front of it: programs run on a real pseudo-terminal, and what they draw
 * is kept both as bytes and as the screen that a person would see.
 */
import { type IPty, spawn } from '@lydell/node-pty';
import xterm from '@xterm/headless';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { commandLine, type Surroundings, surroundings } from './command.ts';

/**
 * The time since anything was last written: a busy machine may be slow as long as something
 * happens.
 */
const silenceMs = 30_000;
const lifetimeMs = 120_000;

const running = new Set<IPty>();
process.on('exit', () => {
  for (const pty of running) killHard(pty);
});

export interface PseudoTerminal {
  /** Types or pastes text, as UTF-8; Enter is `\r`, Ctrl-C `\x03`, Ctrl-D `\x04`, Esc `\x1b`. */
  write: (text: string) => void;
  /**
   * Waits until this text or pattern appears in the output after the previous match, including
   * escape sequences.
   *
   * @returns the text that matched
   * @throws if nothing was written for 30 s or it can't come any more, with the screen
   */
  waitFor: (wanted: string | RegExp) => Promise<string>;
  /**
   * Waits in the same way, but for what a person sees, wherever on the screen the text was drawn.
   */
  waitForScreen: (wanted: string | RegExp) => Promise<string>;
  /**
   * @returns what a person sees, including what scrolled off the top, in lines without trailing
   *   blanks; a line too long for the window takes several
   */
  screen: () => Promise<string>;
  /** All output so far, as it came. */
  output: () => string;
  resize: (columns: number, rows: number) => void;
  kill: (signal: NodeJS.Signals) => void;
  /**
   * Waits for the program to end. By then all its output is here.
   *
   * @throws if nothing was written for 30 s, with the screen
   */
  exit: () => Promise<{ status: number | null; signal: NodeJS.Signals | null }>;
}

/**
 * Starts a program on its own pseudo-terminal: standard input, output and error. For other streams,
 * start `sh` with a redirection.
 *
 * @param program `kms-encrypt` and so on for the built commands, or any other name or path
 */
export function startOnTerminal(
  program: string,
  args: string[],
  { columns = 80, rows = 24, ...options }: Surroundings & { columns?: number; rows?: number } = {},
): PseudoTerminal {
  const screen = new xterm.Terminal({
    cols: columns,
    rows,
    scrollback: 10_000,
    allowProposedApi: true,
  });
  const { file, args: fileArgs } = commandLine(program, args);
  const { env, cwd } = surroundings({
    ...options,
    env: { TERM: 'xterm-256color', ...options.env },
  });
  const pty = spawn(file, fileArgs, { name: env.TERM ?? '', cols: columns, rows, env, cwd });
  readToTheEnd(pty);

  let output = '';
  let ended: { exitCode: number; signal?: number } | undefined;
  let matchedTo = 0;
  const changed = new Set<() => void>();
  const tell = (): void => {
    for (const listener of changed) listener();
  };
  pty.onData((text) => {
    output += text;
    screen.write(text, tell);
  });
  running.add(pty);
  // A program left running by a failed test keeps the test process alive, but not for good.
  const lifetime = setTimeout(() => {
    killHard(pty);
  }, lifetimeMs).unref();
  pty.onExit((event) => {
    running.delete(pty);
    clearTimeout(lifetime);
    // It has ended once the last thing it wrote has been drawn.
    screen.write('', () => {
      ended = event;
      tell();
    });
  });

  /** Checks after each change, until `look` finds something. */
  const wait = <T>(what: string, look: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(deadline);
        changed.delete(check);
      };
      const fail = (why: string): void => {
        finish();
        killHard(pty);
        reject(new Error(`${program}: ${why} ${what}. The screen:\n${render(screen)}`));
      };
      const check = (): void => {
        if (!changed.has(check)) return; // over: looking again would find the next match
        deadline.refresh();
        const found = look();
        if (found !== undefined) {
          finish();
          resolve(found);
        } else if (ended !== undefined) {
          fail('ended before');
        }
      };
      const deadline = setTimeout(() => {
        fail(`nothing was written for ${silenceMs / 1000} s before`);
      }, silenceMs);
      changed.add(check);
      // Check once what has arrived has been drawn: it may already be there.
      screen.write('', check);
    });

  return {
    write: (text) => {
      pty.write(text);
    },
    waitFor: (wanted) =>
      wait(`it wrote ${String(wanted)}`, () => {
        const found = find(output.slice(matchedTo), wanted);
        if (found === undefined) return undefined;
        matchedTo += found.index + found.text.length;
        return found.text;
      }),
    waitForScreen: (wanted) =>
      wait(`it showed ${String(wanted)}`, () => find(render(screen), wanted)?.text),
    screen: () =>
      new Promise((resolve) => {
        screen.write('', () => {
          resolve(render(screen));
        });
      }),
    output: () => output,
    resize: (newColumns, newRows) => {
      screen.resize(newColumns, newRows);
      pty.resize(newColumns, newRows);
    },
    kill: (signal) => {
      if (running.has(pty)) pty.kill(signal);
    },
    exit: async () => {
      const { exitCode, signal } = await wait('it ended', () => ended);
      if (signal === undefined || signal === 0) return { status: exitCode, signal: null };
      return { status: null, signal: signalName(signal) };
    },
  };
}

/**
 * node-pty drops output that it has not read 200 ms after the program's end, by destroying its
 * socket without an error. On a busy machine, that loses part of the output. The socket ends by
 * itself once everything is read.
 */
function readToTheEnd(pty: IPty): void {
  const { _socket: socket } = pty as unknown as { _socket: Socket };
  const destroy = socket.destroy.bind(socket);
  socket.destroy = (error) => {
    if (error !== undefined || socket.readableEnded) return destroy(error);
    setTimeout(destroy, silenceMs).unref();
    return socket;
  };
}

function killHard(pty: IPty): void {
  // Never kill one that has ended: its process id may belong to another program by now.
  if (running.has(pty)) pty.kill('SIGKILL');
}

function find(text: string, wanted: string | RegExp): { index: number; text: string } | undefined {
  if (typeof wanted === 'string') {
    const index = text.indexOf(wanted);
    return index < 0 ? undefined : { index, text: wanted };
  }
  const match = wanted.exec(text);
  return match === null ? undefined : { index: match.index, text: match[0] };
}

/** @returns the lines that have been drawn, without empty ones at the end */
function render({ buffer: { active: buffer } }: InstanceType<typeof xterm.Terminal>): string {
  const lines: string[] = [];
  for (let row = 0; row < buffer.length; row++) {
    lines.push(buffer.getLine(row)?.translateToString(true) ?? '');
  }
  return lines.join('\n').trimEnd();
}

function signalName(number: number): NodeJS.Signals {
  const name = Object.entries(constants.signals).find(([, value]) => value === number)?.[0];
  return name as NodeJS.Signals;
}
