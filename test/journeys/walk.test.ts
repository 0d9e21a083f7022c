/** The article's walk-through, as a person sees it: the real commands on a real terminal. */
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commandLine, run, temporaryFolder } from '../support/command.ts';
import { type PseudoTerminal, startOnTerminal } from '../support/pseudo-terminal.ts';

const enter = '\r';
const down = '\x1b[B';

/** Everything that a terminal showed, without colours and cursor movements. */
const plain = (output: string): string =>
  output.replace(/\x1b\[[?0-9;]*[A-Za-z]/g, '').replaceAll('\r', '');

const base64Line = /^[A-Za-z0-9+/]{100,}=*$/m;

describe('the walk without an account', () => {
  const home = temporaryFolder();

  const encryptForAlice = async (message: string): Promise<string> => {
    const terminal = startOnTerminal('kms-encrypt', [], { home, columns: 2000 });
    await terminal.waitFor('alice');
    terminal.write(enter);
    await terminal.waitFor('Hello alice, please enter your message to encrypt: ');
    terminal.write(`${message}${enter}`);
    await terminal.waitFor('Your encrypted message:');
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    const ciphertext = base64Line.exec(plain(terminal.output()))?.[0];
    assert.ok(ciphertext, plain(terminal.output()));
    return ciphertext;
  };

  test('alice encrypts and gets it back; bob is told why he does not', async () => {
    const ciphertext = await encryptForAlice('this is a secret 😀');

    const alice = startOnTerminal('kms-decrypt', [], { home });
    await alice.waitFor('alice');
    alice.write(enter);
    await alice.waitFor('Hello alice, please enter your message to decrypt: ');
    alice.write(`\x1b[200~${ciphertext}\x1b[201~`);
    alice.write(enter);
    assert.deepEqual(await alice.exit(), { status: 0, signal: null });
    assert.match(plain(alice.output()), /Your decrypted message: this is a secret 😀\n/);

    const bob = startOnTerminal('kms-decrypt', [], { home });
    await bob.waitFor('alice');
    bob.write(down + enter);
    await bob.waitFor('Hello bob, please enter your message to decrypt: ');
    bob.write(`\x1b[200~${ciphertext}\x1b[201~`);
    bob.write(enter);
    assert.deepEqual(await bob.exit(), { status: 3, signal: null });
    const seen = plain(bob.output());
    assert.match(seen, /kms-decrypt: This message is for alice, not for bob\.\nhint: /);
    assert.doesNotMatch(seen, /this is a secret|Your decrypted message/);
  });

  test('says once that it created a key, and how to use AWS KMS', async () => {
    const ownHome = temporaryFolder();
    const first = startOnTerminal('kms-encrypt', ['-u', 'bob'], { home: ownHome, columns: 200 });
    await first.waitFor('message to encrypt: ');
    first.write(`x${enter}`);
    await first.exit();
    const file = join(ownHome, 'data', 'kms-poc', 'local.key');
    assert.match(
      plain(first.output()),
      /KEY_ID is not set.*local\.key.*To use AWS KMS, set KEY_ID/,
    );
    assert.match(plain(first.output()), /created a new local key: .*local\.key/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const key = readFileSync(file, 'utf8');

    const second = startOnTerminal('kms-encrypt', ['-u', 'bob', '-q'], { home: ownHome });
    await second.waitFor('message to encrypt: ');
    second.write(`x${enter}`);
    assert.deepEqual(await second.exit(), { status: 0, signal: null });
    assert.doesNotMatch(plain(second.output()), /KEY_ID|made a new local key/);
    assert.equal(readFileSync(file, 'utf8'), key);
  });

  test('a cancelled walk leaves no key behind, and restores the terminal', async () => {
    for (const [keys, where] of [
      ['\x03', 'Who are you?'],
      ['\x1b', 'Who are you?'],
      ['\x03', 'message to encrypt'],
      ['\x04', 'message to encrypt'],
    ] as const) {
      const ownHome = temporaryFolder();
      const args = where === 'Who are you?' ? [] : ['-u', 'alice'];
      const terminal = startOnTerminal('kms-encrypt', args, { home: ownHome });
      await terminal.waitFor(where);
      terminal.write(keys);
      assert.deepEqual(await terminal.exit(), { status: 130, signal: null });
      assert.throws(() => statSync(join(ownHome, 'data')), /ENOENT/);
      assert.doesNotMatch(terminal.output(), /\x1b\[\?2004h(?!.*\x1b\[\?2004l)/s);
    }
  });

  test('a menu that a signal ends gives the cursor back', async () => {
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
      const terminal = startOnTerminal('kms-encrypt', [], { home });
      await terminal.waitFor('bob');
      terminal.kill(signal);
      assert.deepEqual(await terminal.exit(), { status: null, signal });
      const output = terminal.output();
      assert.ok(output.lastIndexOf('\x1b[?25h') > output.lastIndexOf('\x1b[?25l'), signal);
    }
  });

  test('the menu has colours, unless NO_COLOR says otherwise', async () => {
    for (const [NO_COLOR, isColoured] of [
      [undefined, true],
      ['', true],
      ['1', false],
    ] as const) {
      const terminal = startOnTerminal('kms-encrypt', [], { home, env: { NO_COLOR } });
      await terminal.waitFor('bob');
      terminal.write('\x03');
      await terminal.exit();
      assert.equal(/\x1b\[[\d;]+m/.test(terminal.output()), isColoured);
    }
  });

  test('reads well at 40 columns', async () => {
    const terminal = startOnTerminal('kms-encrypt', ['-q'], { home, columns: 40, rows: 30 });
    await terminal.waitFor('alice');
    terminal.write(enter);
    await terminal.waitForScreen('to encrypt:');
    terminal.write('a message that is longer than what is left of the line');
    await terminal.waitForScreen(/of\s+the\s+line/);
    const screen = await terminal.screen();
    assert.equal(screen.split('Hello alice').length, 2, screen);
    terminal.write('\x03');
    assert.equal((await terminal.exit()).status, 130);
  });
});

describe('where output goes', () => {
  const home = temporaryFolder();

  test('prompts on the terminal, only the payload in a redirected file', async () => {
    const cwd = temporaryFolder();
    const { file, args } = commandLine('kms-encrypt', ['-q', '-u', 'alice']);
    const terminal = startOnTerminal('sh', ['-c', '"$0" "$@" > out.b64', file, ...args], {
      home,
      cwd,
    });
    await terminal.waitFor('message to encrypt: ');
    terminal.write(`hello${enter}`);
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    assert.doesNotMatch(plain(terminal.output()), /Your encrypted message/);
    const ciphertext = readFileSync(join(cwd, 'out.b64'), 'utf8');
    assert.match(ciphertext, /^[A-Za-z0-9+/]+=*\n$/);
    const { stdout } = await run('kms-decrypt', ['-u', 'alice', '-k', 'local'], {
      home,
      stdin: ciphertext,
    });
    assert.equal(stdout.toString(), 'hello');
  });

  test("a message cannot control its reader's terminal; bytes are not printed there", async () => {
    const cwd = temporaryFolder();
    const store = async (message: Uint8Array, name: string): Promise<void> => {
      const { stdout } = await run('kms-encrypt', ['-u', 'alice', '-k', 'local'], {
        home,
        stdin: message,
      });
      writeFileSync(join(cwd, name), stdout);
    };
    await store(Buffer.from('\x1b]0;owned\x07\x1b[2Jred \x9b31m \u202e'), 'hostile');
    await store(Uint8Array.of(0xff, 0xfe, 0x00), 'bytes');

    const hostile = startOnTerminal(
      'kms-decrypt',
      ['-u', 'alice', '-k', 'local', '-i', 'hostile'],
      {
        home,
        cwd,
      },
    );
    assert.deepEqual(await hostile.exit(), { status: 0, signal: null });
    assert.doesNotMatch(hostile.output(), /\x1b\]|\x07|\x1b\[2J|\x9b|\u202e/);
    assert.match(hostile.output(), /red/);

    const json = startOnTerminal(
      'kms-decrypt',
      ['-u', 'alice', '-k', 'local', '-i', 'hostile', '--json'],
      { home, cwd },
    );
    await json.waitFor(String.raw`\u001b[2Jred \u009b31m \u202e"`);
    assert.deepEqual(await json.exit(), { status: 0, signal: null });
    assert.doesNotMatch(json.output(), /\x1b\]|\x07|\x1b\[2J|\x9b|\u202e/);

    const bytes = startOnTerminal('kms-decrypt', ['-u', 'alice', '-k', 'local', '-i', 'bytes'], {
      home,
      cwd,
    });
    assert.deepEqual(await bytes.exit(), { status: 2, signal: null });
    assert.match(plain(bytes.output()), /not text \(3 bytes\)\.\nhint: .*--out/);
  });

  test('with --hide nothing of the message is shown', async () => {
    const terminal = startOnTerminal('kms-encrypt', ['-u', 'alice', '-k', 'local', '--hide'], {
      home,
    });
    await terminal.waitFor('message to encrypt: ');
    terminal.write(`hush-hush${enter}`);
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    assert.doesNotMatch(terminal.output(), /hush/);
    assert.match(plain(terminal.output()), /Your encrypted message:\n/);
  });

  test('bytes are never written to a terminal', async () => {
    const terminal = startOnTerminal('kms-encrypt', ['-u', 'alice', '-k', 'local', '--binary'], {
      home,
    });
    assert.deepEqual(await terminal.exit(), { status: 2, signal: null });
    assert.match(plain(terminal.output()), /Raw bytes are never written to a terminal/);
  });

  test('the terminal is a terminal under any file name', async () => {
    for (const name of ['/dev/tty', '/dev/stdout']) {
      const onTerminal = (command: string, more: string[]): PseudoTerminal =>
        startOnTerminal(command, ['-u', 'alice', '-k', 'local', '-o', name, ...more], {
          home,
          columns: 2000,
        });
      const encrypt = onTerminal('kms-encrypt', []);
      await encrypt.waitFor('message to encrypt: ');
      encrypt.write(`\x1b[200~\x1b[2Jred\x1b[201~${enter}`);
      assert.deepEqual(await encrypt.exit(), { status: 0, signal: null });
      const output = plain(encrypt.output());
      assert.match(output, /Your encrypted message:\n/);

      const decrypt = onTerminal('kms-decrypt', []);
      await decrypt.waitFor('message to decrypt: ');
      decrypt.write(`\x1b[200~${base64Line.exec(output)?.[0] ?? ''}\x1b[201~${enter}`);
      assert.deepEqual(await decrypt.exit(), { status: 0, signal: null });
      assert.match(decrypt.output(), /Your decrypted message: [^\x1b]*\[2Jred\r\n/);

      const bytes = onTerminal('kms-encrypt', ['--binary']);
      assert.deepEqual(await bytes.exit(), { status: 2, signal: null });
      assert.match(plain(bytes.output()), /Raw bytes are never written to a terminal/);
    }
  });
});
