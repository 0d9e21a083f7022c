import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { commandLine, temporaryFolder } from '../../support/command.ts';
import { type PseudoTerminal, startOnTerminal } from '../../support/pseudo-terminal.ts';

const home = temporaryFolder();
const enter = '\r';
const [up, down] = ['\x1b[A', '\x1b[B'];
const many = [...Array.from({ length: 25 }, (_, index) => `user${index + 1}`), 'bobby', 'bob'];

async function start(USERS?: string, question = 'Who are you?'): Promise<PseudoTerminal> {
  const terminal = startOnTerminal('kms-encrypt', ['-q'], { home, env: { USERS } });
  await terminal.waitForScreen(question);
  return terminal;
}

async function cancel(terminal: PseudoTerminal): Promise<void> {
  terminal.write('\x03');
  assert.deepEqual(await terminal.exit(), { status: 130, signal: null });
}

describe('the menu takes the name', () => {
  const cases: [what: string, keys: string, user: string, users?: string][] = [
    ['typed in one write with Enter', `bob${enter}`, 'bob'],
    ['of which the beginning was typed', `B${enter}`, 'bob'],
    ['corrected', `alx\x7f\x7f\x7fbo${enter}`, 'bob'],
    ['typed anew after Ctrl-U', `carol${enter}\x15bob${enter}`, 'bob'],
    ['after keys that mean nothing', `\x1b[2~\x1b[15~\x1bxbob${enter}`, 'bob'],
    ['chosen with the arrow keys', `${down}${enter}`, 'bob'],
    ['that is another’s beginning', `bob${enter}`, 'bob', many.join()],
    [
      'typed after the arrow keys had chosen another',
      `${down}${down}bob${enter}`,
      'bob',
      many.join(),
    ],
    ['of a filtered list, with an arrow key', `user1${down}${enter}`, 'user10', many.join()],
    ['that was not on the screen', `user25${enter}`, 'user25', many.join()],
    ['that was scrolled to', `${up}${up}${enter}`, 'bobby', many.join()],
  ];
  for (const [what, keys, user, users] of cases) {
    test(what, async () => {
      const terminal = await start(users);
      terminal.write(keys);
      await terminal.waitForScreen(`Hello ${user}, please enter your message`);
      await cancel(terminal);
    });
  }

  test('and leaves what was typed ahead to the message', async () => {
    const terminal = await start();
    terminal.write(`bob${enter}secret${enter}`);
    await terminal.waitForScreen(/Hello bob, .*: secret\n[^]*Your encrypted message:/);
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
  });
});

describe('the menu chooses nobody', () => {
  for (const [what, keys] of [
    ['for a name that is not in it', 'carol'],
    ['for a longer name', 'alice2'],
    ['for the end of a name', 'lice'],
    ['for letters that no name has', 'böb'],
    ['for a blank', 'bob '],
    ['for a ciphertext pasted by mistake', 'AgR4'.repeat(5_000)],
  ] as const) {
    test(what, async () => {
      const terminal = await start();
      terminal.write(keys + enter);
      await terminal.waitForScreen('There is no such user.');
      await terminal.waitFor('\x07');
      await cancel(terminal);
      assert.doesNotMatch(terminal.output(), /Hello/);
      assert.ok(terminal.output().length < 20_000);
    });
  }

  test('on Esc, even after a name was typed', async () => {
    const terminal = await start();
    terminal.write('bob');
    await terminal.waitFor(/❯.*bob/);
    terminal.write('\x1b');
    assert.deepEqual(await terminal.exit(), { status: 130, signal: null });
    assert.doesNotMatch(terminal.output(), /Hello/);
  });
});

test('the menu shows ten of many, and those that match', async () => {
  const terminal = await start(many.join());
  const marked = await terminal.waitForScreen(/Who are you[^]*user10$/);
  assert.equal(marked.split('\n').length, 11);
  terminal.write('user2');
  await terminal.waitForScreen(/user2\n.*user20\n.*user21\n[^]*user25$/);
  terminal.write('5');
  await terminal.waitForScreen(/› user25\n❯.*user25$/);
  await cancel(terminal);
});

test('any name is asked for as a line', async () => {
  const terminal = await start('*', 'What is your user name?');
  terminal.write(`not a name${enter}`);
  await terminal.waitForScreen(/A name has 1 to 64 characters: .*\nWhat is your user name\?$/);
  terminal.write(`crol\x1b[D\x1b[D\x1b[Da${enter}`);
  await terminal.waitForScreen('Hello carol, please enter your message');
  await cancel(terminal);
});

describe('a dumb terminal gets lines without escape sequences', () => {
  const dumb = (env: Record<string, string>): PseudoTerminal =>
    startOnTerminal('kms-encrypt', ['-q'], { home, env: { TERM: 'dumb', ...env } });

  test('for a user and a message', async () => {
    const terminal = dumb({});
    await terminal.waitForScreen(/^The users are alice, bob\.\nWho are you\?$/);
    terminal.write(`carol${enter}`);
    await terminal.waitForScreen(/There is no such user\.\nWho are you\?$/);
    terminal.write(`bob${enter}`);
    await terminal.waitForScreen(/Hello bob, .* encrypt:$/);
    terminal.write('x secret\x01\x1b[3~\x1b[3~a ');
    await terminal.waitForScreen(/encrypt: a secret$/);
    terminal.write(enter);
    await terminal.waitForScreen(/encrypt: a secret\nYour encrypted message:\n/);
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    assert.doesNotMatch(terminal.output(), /\x1b/);
  });

  test('for any name', async () => {
    const terminal = dumb({ USERS: '*' });
    await terminal.waitForScreen(/^What is your user name\?$/);
    terminal.write(`carol${enter}`);
    await terminal.waitForScreen(/Hello carol, .* encrypt:$/);
    await cancel(terminal);
    assert.doesNotMatch(terminal.output(), /\x1b/);
  });

  test('and nothing of a hidden message', async () => {
    const terminal = startOnTerminal('kms-encrypt', ['-q', '-u', 'bob', '--hide'], {
      home,
      env: { TERM: 'dumb' },
    });
    await terminal.waitForScreen(/encrypt:$/);
    terminal.write(`sec\x01ret${enter}`);
    await terminal.waitForScreen('Your encrypted message:');
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    assert.doesNotMatch(terminal.output(), /\x1b|sec|ret/);
  });
});

describe('the terminal is restored', () => {
  const { file, args } = commandLine('kms-encrypt', ['-q']);

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`when ${signal} ends the menu`, async () => {
      const terminal = startOnTerminal(
        'sh',
        [
          '-c',
          'trap : INT; stty -g; sh -c \'echo "process $$"; exec "$0" "$@"\' "$0" "$@"; echo "status $?"; stty -g; read end',
          file,
          ...args,
        ],
        { home },
      );
      const settings = await terminal.waitFor(/^[0-9a-f:]+\r\n/);
      const [, processId] = /process (\d+)\r/.exec(await terminal.waitFor(/process \d+\r/)) ?? [];
      await terminal.waitForScreen('bob');
      process.kill(Number(processId), signal);
      await terminal.waitFor(/status 1(29|30|43)\r\n/);
      assert.equal(await terminal.waitFor(/[0-9a-f:]+\r\n/), settings);
      const output = terminal.output();
      assert.ok(output.lastIndexOf('\x1b[?25h') > output.lastIndexOf('\x1b[?25l'));
      terminal.write(enter);
      await terminal.exit();
    });
  }

  test('while Ctrl-Z suspends the menu, which is drawn again', async () => {
    const terminal = startOnTerminal('sh', ['-i'], { home, env: { PS1: 'shell$ ' } });
    await terminal.waitFor('shell$ ');
    terminal.write(`stty -g; ${[file, ...args].map((word) => `'${word}'`).join(' ')}\n`);
    const settings = await terminal.waitFor(/\n[0-9a-f]+:[0-9a-f:]+\r\n/);
    await terminal.waitForScreen(/bob$/);
    terminal.write('bo');
    await terminal.waitForScreen(/› bo\n❯ +bob$/);
    terminal.write('\x1a');
    await terminal.waitFor(/\x1b\[\?25h[^]*shell\$ /);
    terminal.write('stty -g; fg\n');
    assert.equal(await terminal.waitFor(/\n[0-9a-f]+:[0-9a-f:]+\r\n/), settings);
    await terminal.waitForScreen(/fg\n[^]*› bo\n❯ +bob$/);
    terminal.write(`b${enter}`);
    await terminal.waitForScreen('Hello bob, please');
    terminal.write('\x03');
    await terminal.waitForScreen(/encrypt: ?\nshell\$$/);
    terminal.write('exit\n');
    await terminal.exit();
  });
});
