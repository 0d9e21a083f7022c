import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { temporaryFolder } from '../../support/command.ts';
import { fileWith } from '../../support/file-with.ts';
import { type PseudoTerminal, startOnTerminal } from '../../support/pseudo-terminal.ts';

const program = join(import.meta.dirname, '..', '..', 'support', 'read-message.ts');
const loader = import.meta.resolve('tsx');

const pasted = (text: string): string => `\x1b[200~${text}\x1b[201~`;
const hex = (text: string): string => Buffer.from(text).toString('hex');

interface Options {
  messages?: number;
  prompt?: string;
  mode?: 'hidden' | 'crash';
  columns?: number;
  /** The terminal to read, by default its own. */
  input?: string;
}

interface Started extends PseudoTerminal {
  /** The terminal's previous settings, as printed by `stty -g`. */
  settings: string;
  processId: number;
}

/** Starts the program in a shell that then prints how it ended and how the terminal is set. */
async function start({
  messages = 1,
  prompt = 'message: ',
  mode,
  columns,
  input = '/dev/tty',
}: Options = {}): Promise<Started> {
  const terminal = startOnTerminal(
    'sh',
    [
      '-c',
      'echo "settings $(stty -g)"; "$@" < "$0"; echo "status $?"; echo "settings $(stty -g)"; read end',
      input,
      process.execPath,
      '--import',
      loader,
      program,
      String(messages),
      prompt,
      ...(mode === undefined ? [] : [mode]),
    ],
    columns === undefined ? {} : { columns },
  );
  const settings = await terminal.waitFor(/settings .*\r\n/);
  const processId = await waitForProcess(terminal);
  await terminal.waitFor('\x1b[?2004h');
  await terminal.waitFor(prompt.slice(-9));
  return { ...terminal, settings, processId };
}

async function waitForProcess(terminal: PseudoTerminal): Promise<number> {
  return Number((await terminal.waitFor(/process \d+\r/)).slice('process '.length));
}

/** Waits for the end and checks that the terminal is restored. */
async function ended(terminal: Started, status: number): Promise<void> {
  await terminal.waitFor(`status ${status}\r\n`);
  assert.equal(await terminal.waitFor(/settings .*\r\n/), terminal.settings);
  terminal.write('\r');
  await terminal.exit();
  assertPasteMarksOff(terminal);
}

function assertPasteMarksOff(terminal: PseudoTerminal): void {
  const output = terminal.output();
  assert.ok(output.lastIndexOf('\x1b[?2004l') > output.lastIndexOf('\x1b[?2004h'));
}

describe('a message', () => {
  test('typed, as exact bytes, one after the other', async () => {
    const messages = ['pâ😀z', ' a  ', '👨‍👩‍👧 e\u0301', '\t日本'];
    const terminal = await start({ messages: messages.length });
    for (const message of messages) {
      terminal.write(message);
      await terminal.waitFor(message);
      terminal.write('\r');
      await terminal.waitFor(`got ${hex(message)}.`);
    }
    // Nothing of the reader is left that keeps the process alive or catches its signals.
    const left = await terminal.waitFor(/listeners left: .*/);
    assert.doesNotMatch(left, /SIG(?!WINCH)/);
    await ended(terminal, 0);
  });

  test('in one write with its Enter', async () => {
    const terminal = await start();
    terminal.write('hello\r');
    await terminal.waitFor(`got ${hex('hello')}.`);
    await ended(terminal, 0);
  });

  test('typed ahead, before it was asked for', async () => {
    const terminal = startOnTerminal(process.execPath, [
      ...['--import', loader, program],
      ...['1', 'message: ', 'wait'],
    ]);
    const processId = await waitForProcess(terminal);
    terminal.write('ahead');
    await terminal.waitFor('ahead');
    process.kill(processId, 'SIGUSR2');
    // And it is gone from where the terminal itself had echoed it.
    await terminal.waitForScreen(/^message: ahead$/m);
    terminal.write('\r');
    await terminal.waitFor(`got ${hex('ahead')}.`);
    assert.equal((await terminal.exit()).status, 0);
  });

  test('with keys that mean nothing', async () => {
    const terminal = await start();
    terminal.write('a\x1b[A\x1bOB\x1b[5~\x1b[15~\x1bOP\x1b[2~');
    await terminal.waitFor('a');
    terminal.write('b\x1bx\x0c\x1c\x1b[6~');
    await terminal.waitFor('b');
    terminal.write('\r');
    await terminal.waitFor(`got ${hex('ab')}.`);
    await ended(terminal, 0);
    assert.match(await terminal.screen(), /^message: ab$/m);
  });

  test('corrected, across the edge of a window of 40 columns', async () => {
    const prompt = 'Hello alice, please enter your message to encrypt: ';
    const terminal = await start({ prompt, columns: 40 });
    terminal.write('this goes over the edge 😀日本 of the window');
    await terminal.waitFor('window');
    assert.equal(
      await shown(terminal),
      [
        'Hello alice, please enter your message ',
        'to encrypt: this goes over the edge 😀',
        '日本 of the window',
      ].join('\n'),
    );
    terminal.write('\x7f'.repeat('😀日本 of the window'.length - 1));
    terminal.write('!');
    await terminal.waitFor('!');
    assert.equal(
      await shown(terminal),
      ['Hello alice, please enter your message ', 'to encrypt: this goes over the edge !'].join(
        '\n',
      ),
    );
    terminal.write('\x15new');
    await terminal.waitFor('new');
    assert.equal(
      await shown(terminal),
      ['Hello alice, please enter your message ', 'to encrypt: new'].join('\n'),
    );
    terminal.write('\r');
    await terminal.waitFor(`got ${hex('new')}.`);
    await ended(terminal, 0);
  });

  test('corrected in the middle of several rows', async () => {
    const prompt = 'Hello alice, please enter your message to encrypt: ';
    const terminal = await start({ prompt, columns: 40 });
    terminal.write('é👨‍👩‍👧日本 is what this message of several rows begins with, and it ends here');
    await terminal.waitForScreen('ends here');
    terminal.write('\x1b[H\x1b[C\x1b[C\x1b[3~国');
    await terminal.waitForScreen('👨‍👩‍👧国本 is');
    terminal.write('\x1b[C\x17\x1b[1;5C!');
    await terminal.waitForScreen('to encrypt:  is! what this message');
    terminal.write('\x05\x1b[1;5D\x0bnow\x01A');
    await terminal.waitForScreen(/to encrypt: A is! what this message of\s+several/);
    // Below the message, although the cursor is in its second row.
    terminal.write('\r');
    const message = 'A is! what this message of several rows begins with, and it ends now';
    await terminal.waitFor(`got ${hex(message)}.`);
    await ended(terminal, 0);
    assert.match(await terminal.screen(), /^several rows begins with, and it ends n\now\ngot /m);
  });

  test('in a window that changes size', async () => {
    const terminal = await start();
    const message = 'one two three four five six seven eight';
    terminal.write(message);
    await terminal.waitFor('eight');
    terminal.resize(20, 24);
    terminal.write('\x7f\x7f');
    await terminal.waitForScreen(/^message: one two th\nree four five six s\neven eig$/m);
    terminal.resize(100, 24);
    terminal.write('ht!');
    await terminal.waitForScreen('eight!');
    terminal.write('\r');
    await terminal.waitFor(`got ${hex(`${message}!`)}.`);
    await ended(terminal, 0);
  });

  test('hidden: nothing of it is on the terminal', async () => {
    const terminal = await start({ messages: 2, mode: 'hidden' });
    terminal.write('secret');
    terminal.write(pasted(`${'long secret '.repeat(30)}\r`));
    terminal.write('\r');
    await terminal.waitFor(`got ${hex(`secret${'long secret '.repeat(30)}\n`)}.`);
    await terminal.waitFor('message: ');
    terminal.write('ac\x1b[Db\x01x\x1b[3~\r');
    await terminal.waitFor(`got ${hex('xbc')}.`);
    await ended(terminal, 0);
    assert.doesNotMatch(terminal.output(), /secret|pasted|\x1b\[\d?[A-D]/);
  });

  test('empty, or nothing but blanks: asked for again', async () => {
    const terminal = await start();
    terminal.write('\r');
    await terminal.waitFor(/Nothing was typed\.[^]*message: /);
    terminal.write('a\x7f');
    terminal.write('\r');
    await terminal.waitFor(/Nothing was typed\.[^]*message: /);
    for (const blanks of ['   ', ' \t ', pasted('\r \r')]) {
      terminal.write(blanks);
      terminal.write('\r');
      await terminal.waitFor(/Nothing was typed\.[^]*message: /);
    }
    terminal.write('a\r');
    await terminal.waitFor(`got ${hex('a')}.`);
    await ended(terminal, 0);
  });

  test('not UTF-8: refused', async () => {
    const terminal = await start();
    // Only text can be written here; a mouse report, in bytes, leaves half of the last character.
    terminal.write('caf\x1b[M !é');
    await terminal.waitFor('caf');
    terminal.write('\r');
    await terminal.waitFor('Usage: The terminal sent a message that is not UTF-8 text.');
    await ended(terminal, 2);
  });
});

describe('a paste', () => {
  test('of 6,000 characters in one line', async () => {
    const text = 'CiQ2'.repeat(1500);
    const terminal = await start();
    terminal.write(pasted(text));
    await terminal.waitFor('[pasted 6,000 characters]');
    terminal.write('\r');
    await terminal.waitFor(`got ${hex(text)}.`);
    await ended(terminal, 0);
  });

  test('of 100,000 characters in little time and with little output', async () => {
    const text = '0123456789abcde\r'.repeat(6_250);
    const terminal = await start();
    const before = terminal.output().length;
    const start_ = performance.now();
    terminal.write(pasted(text));
    await terminal.waitFor('[pasted 100,000 characters, 6,250 lines, line break at the end]');
    assert.ok(performance.now() - start_ < 1_000);
    assert.ok(terminal.output().length - before < 200);
    terminal.write('\r');
    await terminal.waitFor(`got ${hex(text.replaceAll('\r', '\n'))}.`);
    await ended(terminal, 0);
  });

  const lines = Array.from({ length: 74 }, (_, line) => `line ${line + 1} 😀`);

  test('of 74 lines', async () => {
    const terminal = await start();
    terminal.write(pasted(lines.join('\r')));
    await terminal.waitFor(/\[pasted [\d,]+ characters, 74 lines\]/);
    terminal.write('\r');
    await terminal.waitFor(`got ${hex(lines.join('\n'))}.`);
    await ended(terminal, 0);
  });

  test('of 74 lines from a terminal without marks: none is left for the shell', async () => {
    const terminal = await start();
    terminal.write(`${lines.join('\r')}\r`);
    await terminal.waitFor(/\[pasted [\d,]+ characters, 74 lines, line break at the end\]/);
    terminal.write('\r');
    await terminal.waitFor(`got ${hex(`${lines.join('\n')}\n`)}.`);
    await ended(terminal, 0);
  });

  test('taken back, and one with control characters', async () => {
    const terminal = await start();
    terminal.write(pasted('a\rb'));
    await terminal.waitForScreen('[pasted 3 characters, 2 lines]');
    terminal.write('\x7f');
    terminal.write(pasted('\x1b]0;title\x07\x9b31m'));
    await terminal.waitFor(String.raw`message: \x1b]0;title\x07\x9b31m`);
    terminal.write('\r');
    await terminal.waitFor(`got ${hex('\x1b]0;title\x07\x9b31m')}.`);
    await ended(terminal, 0);
    // The title and the colour never reached the terminal.
    assert.doesNotMatch(terminal.output(), /\x1b\]|\x9b/);
  });
});

describe('abandoned', () => {
  const cases: [what: string, keys: string][] = [
    ['Ctrl-C', '\x03'],
    ['Ctrl-D', '\x04'],
    ['Esc', '\x1b'],
  ];
  for (const [what, keys] of cases) {
    test(`with ${what}`, async () => {
      const terminal = await start();
      terminal.write(keys);
      await terminal.waitFor('Interrupted: Interrupted.');
      await ended(terminal, 130);
      assert.doesNotMatch(terminal.output(), /got/);
    });
  }

  test('with Ctrl-C after text, in a hidden message', async () => {
    const terminal = await start({ mode: 'hidden' });
    terminal.write('secret');
    terminal.write('\x03');
    await terminal.waitFor('Interrupted: Interrupted.');
    await ended(terminal, 130);
    assert.doesNotMatch(terminal.output(), /secret/);
  });

  const signals: [signal: NodeJS.Signals, status: number][] = [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ];
  for (const [signal, status] of signals) {
    test(`on ${signal}`, async () => {
      const terminal = await start();
      terminal.write('half a');
      await terminal.waitFor('half a');
      process.kill(terminal.processId, signal);
      await ended(terminal, status);
    });
  }

  test('when the terminal that it reads is gone, but not its own', async () => {
    const holder = spawn(process.execPath, [
      '-e',
      `require('@lydell/node-pty')
         .spawn('sh', ['-c', 'tty; exec sleep 60'], {})
         .onData((text) => process.stdout.write(text));`,
    ]);
    const [path] = (await once(holder.stdout, 'data')) as [Buffer];
    const terminal = await start({ input: path.toString().trim() });
    holder.kill('SIGKILL');
    await ended(terminal, 129);
    assert.doesNotMatch(terminal.output(), /got|assert/i);
  });

  test('on a bug elsewhere in the program', async () => {
    const terminal = await start({ mode: 'crash' });
    process.kill(terminal.processId, 'SIGUSR2');
    await ended(terminal, 1);
  });

  test('when the terminal is gone: never as a success', async () => {
    const folder = temporaryFolder();
    const result = fileWith(folder, 'result', /status .*\n/);
    // The outer shell owns the terminal: when it is killed, the terminal hangs up on the others.
    const terminal = startOnTerminal('sh', [
      '-c',
      `sh -c 'trap : HUP; "$@"; echo "status $?"' sh "$@" > '${join(folder, 'result')}'; true`,
      'sh',
      process.execPath,
      '--import',
      loader,
      program,
    ]);
    await terminal.waitFor('message: ');
    terminal.kill('SIGKILL');
    assert.match(await result, /^process \d+\nstatus 129\n$/);
  });
});

describe('suspended', () => {
  const suspend: Record<string, (terminal: PseudoTerminal, processId: number) => void> = {
    'with Ctrl-Z': (terminal) => {
      terminal.write('\x1a');
    },
    'by SIGSTOP': (_terminal, processId) => {
      process.kill(processId, 'SIGSTOP');
    },
  };
  for (const [how, stop] of Object.entries(suspend)) {
    test(`${how}: continued, it asks again and shows nothing twice`, async () => {
      const terminal = startOnTerminal('sh', ['-i'], { env: { PS1: 'shell$ ' } });
      const command = [process.execPath, '--import', loader, program];
      await terminal.waitFor('shell$ ');
      terminal.write(`${command.map((word) => `'${word}'`).join(' ')}\r`);
      const processId = await waitForProcess(terminal);
      await terminal.waitFor('message: ');
      terminal.write('half a');
      await terminal.waitFor('half a');
      stop(terminal, processId);
      await terminal.waitFor('shell$ ');
      if (how === 'with Ctrl-Z') assertPasteMarksOff(terminal);
      // Not CR: after SIGSTOP, this shell has the terminal as it was left, raw. Other shells
      // restore it themselves, as `stty` does here.
      terminal.write('stty sane; fg\n');
      await terminal.waitFor('message: half a');
      terminal.write(' secret');
      await terminal.waitFor(' secret');
      terminal.write('\r');
      await terminal.waitFor(`got ${hex('half a secret')}.`);
      await terminal.waitFor('shell$ ');
      terminal.write('exit\r');
      await terminal.exit();
      assertPasteMarksOff(terminal);
      assert.equal(terminal.output().split('secret').length, 2);
    });
  }

  test('with no shell to continue it: it continues by itself', async () => {
    const terminal = await start();
    terminal.write('half a\x1a');
    await terminal.waitFor('\x1b[?2004h');
    await terminal.waitFor('message: half a');
    terminal.write('!\r');
    await terminal.waitFor(`got ${hex('half a!')}.`);
    await ended(terminal, 0);
  });
});

/** @returns the screen from the prompt on */
async function shown(terminal: PseudoTerminal): Promise<string> {
  const screen = await terminal.screen();
  return screen.slice(screen.indexOf('Hello'));
}
