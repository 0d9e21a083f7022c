import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startOnTerminal } from './pseudo-terminal.ts';

test('a shell on a terminal: size, input, screen, status', async () => {
  const terminal = startOnTerminal(
    'sh',
    ['-c', 'test -t 0 && stty size; printf "name? "; read name; echo "hello $name"; exit 7'],
    { columns: 40, rows: 10 },
  );
  await terminal.waitFor('10 40');
  await terminal.waitFor('name? ');
  terminal.write('zoë 😀\r');
  assert.equal(await terminal.waitFor(/hello .*\r\n/), 'hello zoë 😀\r\n');
  assert.deepEqual(await terminal.exit(), { status: 7, signal: null });
  assert.equal(await terminal.screen(), '10 40\nname? zoë 😀\nhello zoë 😀');
});

test('Ctrl-C is a signal to the program', async () => {
  const terminal = startOnTerminal('cat', []);
  terminal.write('one\r');
  await terminal.waitFor('one\r\none\r\n');
  terminal.write('\x03');
  assert.deepEqual(await terminal.exit(), { status: null, signal: 'SIGINT' });
});

test('what is drawn over is in the output, not on the screen', async () => {
  const terminal = startOnTerminal('sh', ['-c', String.raw`printf 'before\r\033[Kafter\n'`]);
  await terminal.waitForScreen(/^after$/m);
  await terminal.exit();
  assert.match(terminal.output(), /before/);
  assert.equal(await terminal.screen(), 'after');
});

test('a program in raw mode gets all of a long paste', async () => {
  const paste = '0123456789'.repeat(10_000);
  const terminal = startOnTerminal(process.execPath, [
    '-e',
    `let length = 0;
     process.stdin.setRawMode(true).on('data', (bytes) => {
       length += bytes.length;
       if (length === ${paste.length}) { console.log('all'); process.exit(); }
     });
     console.log('ready');`,
  ]);
  await terminal.waitFor('ready');
  terminal.write(paste);
  await terminal.waitFor('all');
  assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
});

test('waiting for what cannot come any more fails, with the screen', async () => {
  const terminal = startOnTerminal('echo', ['something else']);
  await assert.rejects(terminal.waitFor('this'), /ended before it wrote this.*\nsomething else$/);
});
