/** The progress of long work: on a terminal, as a person sees it there, and nowhere else. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Progress, progressLine } from '../../../src/cli/payload/progress.ts';
import { commandLine, run, temporaryFolder } from '../../support/command.ts';
import { type PseudoTerminal, startOnTerminal } from '../../support/pseudo-terminal.ts';
import { makeRsaPair, writePrivate } from '../../support/rsa-keys.ts';

const mebibyte = 2 ** 20;
const home = temporaryFolder();
const forAlice = ['-u', 'alice', '-k', 'local'];
// A key that is created during a test would be announced there.
await run('kms-encrypt', forAlice, { home, stdin: 'x' });

function makeFifo(folder: string, name: string): string {
  execFileSync('mkfifo', [join(folder, name)]);
  return join(folder, name);
}

interface Started {
  terminal: PseudoTerminal;
  /** The command's input: it gets what the test writes, and nothing more. */
  input: FileHandle;
  cwd: string;
}

/** Starts a command that reads from the test, through the FIFO `in`. */
async function start(
  command: string,
  args: string[],
  { inShell = '"$0" "$@"', columns = 80, env = {} } = {},
): Promise<Started> {
  const cwd = temporaryFolder();
  const fifo = makeFifo(cwd, 'in');
  const { file, args: commandArgs } = commandLine(command, [...args, '-i', 'in']);
  const terminal = startOnTerminal('sh', ['-c', inShell, file, ...commandArgs], {
    home,
    cwd,
    columns,
    env,
  });
  return { terminal, input: await open(fifo, 'w'), cwd };
}

const encryptToFile = [...forAlice, '--binary', '-o', 'out'];

/** @returns once work that began earlier has taken longer than a bar needs to appear */
async function untilABarWouldShow(): Promise<void> {
  const { terminal, input } = await start('kms-encrypt', encryptToFile);
  await input.write('x');
  await terminal.waitForScreen(/^1 B {2}/);
  await input.close();
  assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
}

async function ends(
  { terminal }: Pick<Started, 'terminal'>,
  status: number,
  screen: string | RegExp,
): Promise<void> {
  assert.deepEqual(await terminal.exit(), { status, signal: null });
  const seen = await terminal.screen();
  if (typeof screen === 'string') assert.equal(seen, screen);
  else assert.match(seen, screen);
}

async function decrypted(file: string): Promise<Buffer> {
  const { stdout } = await run('kms-decrypt', [...forAlice, '-i', file], { home });
  return stdout;
}

describe('on a terminal', () => {
  test('a pipe: bytes and rate, updated as more comes, and gone at the end', async () => {
    const plaintext = randomBytes(3 * mebibyte);
    const started = await start('kms-encrypt', encryptToFile);
    const { terminal, input, cwd } = started;
    await input.writeFile(plaintext.subarray(0, mebibyte));
    await terminal.waitForScreen(/^1\.00 MiB {2}\S+ [KM]iB\/s$/);
    await input.writeFile(plaintext.subarray(mebibyte));
    await terminal.waitForScreen(/^3\.00 MiB {2}/);
    await input.close();
    await ends(started, 0, '');
    assert.ok(plaintext.equals(await decrypted(join(cwd, 'out'))));
    assert.doesNotMatch(terminal.output(), /\x1b\[[\d;]*m/); // no colours
  });

  for (const how of ['--in', 'standard input']) {
    test(`a file as ${how}: a share of the whole, and the time left`, async () => {
      const cwd = temporaryFolder();
      const plaintext = randomBytes(8 * mebibyte);
      writeFileSync(join(cwd, 'plaintext'), plaintext);
      const out = makeFifo(cwd, 'out');
      const { file, args } = commandLine('kms-encrypt', encryptToFile);
      const inShell = how === '--in' ? '"$0" "$@" -i plaintext' : '"$0" "$@" < plaintext';
      const terminal = startOnTerminal('sh', ['-c', inShell, file, ...args], { home, cwd });
      const output = await open(out);
      // Nobody reads, so the command waits in the middle.
      await terminal.waitForScreen(
        /^ [ \d]\d% {2}\[=+ +\] {2}\S+ MiB of 8\.00 MiB {2}\S+ [KM]iB\/s {2}\d+:\d\d left$/,
      );
      const ciphertext = await output.readFile();
      await output.close();
      await ends({ terminal }, 0, '');
      writeFileSync(join(cwd, 'ciphertext'), ciphertext);
      assert.ok(plaintext.equals(await decrypted(join(cwd, 'ciphertext'))));
    });
  }

  test('a batch: lines too; a notice appears above the bar, which stays', async () => {
    const cwd = temporaryFolder();
    const encrypt = async (key: string): Promise<Buffer> => {
      const stdin = `{"user":"alice","message":"by ${key}"}\n`;
      const { status, stdout } = await run('kms-encrypt', ['--batch', '-k', key], {
        home,
        cwd,
        stdin,
      });
      assert.equal(status, 0);
      return stdout;
    };
    const [first, other] = [await encrypt('local:one.key'), await encrypt('local:two.key')];
    const keys = (name: string): string => `local:${join(cwd, name)}`;
    const started = await start(
      'kms-decrypt',
      ['--batch', '-k', keys('one.key'), '-o', 'out.jsonl'],
      { columns: 200, env: { DECRYPT_KEYS: keys('two.key') } },
    );
    const { terminal, input } = started;
    await input.write(first);
    await terminal.waitForScreen(/^1 line, \d{3} B {2}\S+ B\/s$/);
    await input.write(other);
    const notice = await terminal.waitForScreen(/^kms-decrypt: opened with .*$/m);
    await terminal.waitForScreen(/opened with another key: .*\n2 lines, \d{3} B {2}\S+ B\/s$/);
    await input.close();
    await ends(started, 0, notice);
    // Not just written over: the bar may be longer.
    assert.match(terminal.output(), /\r\x1b\[Kkms-decrypt: opened with/);
    assert.equal(
      readFileSync(join(started.cwd, 'out.jsonl'), 'utf8'),
      '{"user":"alice","message":"by local:one.key"}\n{"user":"alice","message":"by local:two.key"}\n',
    );
  });

  test('an error stands alone', async () => {
    const { stdout } = await run('kms-encrypt', [...forAlice, '--binary'], {
      home,
      stdin: randomBytes(mebibyte),
    });
    const started = await start('kms-decrypt', [...forAlice, '-o', 'out']);
    await started.input.writeFile(stdout.subarray(0, -1));
    await started.terminal.waitForScreen(/^1\.00 MiB {2}/);
    await started.input.close();
    await ends(started, 3, /^kms-decrypt: [^\n]+\n(?:hint: [^\n]+\n?)?(?![^]*MiB)/);
    assert.deepEqual(readdirSync(started.cwd), ['in']);
  });

  test('Ctrl-C leaves neither bar nor file', async () => {
    const { terminal, input, cwd } = await start('kms-encrypt', encryptToFile);
    await input.writeFile(randomBytes(2 * mebibyte));
    await terminal.waitForScreen(/^2\.00 MiB {2}/);
    assert.equal(readdirSync(cwd).length, 2);
    terminal.write('\x03');
    assert.deepEqual(await terminal.exit(), { status: null, signal: 'SIGINT' });
    assert.equal(await terminal.screen(), '');
    assert.deepEqual(readdirSync(cwd), ['in']);
    await input.close();
  });

  test('nor does a reader that goes away', async () => {
    const args = [...forAlice, '--binary', '-o', 'out'];
    const started = await start('kms-encrypt', args, { inShell: 'mkfifo out; "$0" "$@"' });
    const { terminal, input, cwd } = started;
    const opening = open(join(cwd, 'out'));
    await input.writeFile(randomBytes(2 * mebibyte));
    await terminal.waitForScreen(/^2\.00 MiB {2}/);
    await (await opening).close();
    await input.close();
    await ends(started, 141, '');
  });

  test('is one line in a window of any width, even if that changes', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'plaintext'), randomBytes(8 * mebibyte));
    const out = makeFifo(cwd, 'out');
    const terminal = startOnTerminal('kms-encrypt', [...encryptToFile, '-i', 'plaintext'], {
      home,
      cwd,
      columns: 120,
    });
    const output = await open(out);
    await terminal.waitForScreen(/^ *\d+% {2}\[=+ +\] {2}.* of 8\.00 MiB {2}.*$/);
    terminal.resize(20, 10);
    await terminal.waitForScreen(/^ *\d+% {2}\S+ (?:B\/s|left)$/);
    terminal.resize(3, 10);
    await terminal.waitForScreen(/^ \d$/);
    terminal.resize(60, 10);
    await terminal.waitForScreen(/^ *\d+% {2}\S+ MiB of 8\.00 MiB {2}.*$/);
    terminal.resize(10, 10); // and not redrawn before the end
    await output.readFile();
    await output.close();
    await ends({ terminal }, 0, '');
  });

  test('waits for a question to be answered', async () => {
    const folder = temporaryFolder();
    const { publicFile, privateFile, privateKey } = makeRsaPair(folder, 'pair');
    writePrivate(
      privateFile,
      privateKey.export({
        type: 'pkcs8',
        format: 'pem',
        cipher: 'aes-256-cbc',
        passphrase: 'open',
      }),
    );
    const plaintext = randomBytes(mebibyte);
    const { stdout } = await run(
      'kms-encrypt',
      ['-u', 'alice', '-k', `rsa:${publicFile}`, '--binary'],
      { stdin: plaintext },
    );
    const args = ['-u', 'alice', '-k', `rsa:${privateFile}`, '-o', 'out'];
    const started = await start('kms-decrypt', args, { columns: 200 });
    const { terminal, input, cwd } = started;
    await input.writeFile(stdout.subarray(0, 100_000));
    const question = `Passphrase for ${privateFile}:`;
    await terminal.waitForScreen(question);
    await untilABarWouldShow();
    assert.equal(await terminal.screen(), question);
    terminal.write('open\r');
    await terminal.waitForScreen(`${question} \n97.7 KiB  `);
    await input.writeFile(stdout.subarray(100_000));
    await input.close();
    await ends(started, 0, question);
    assert.ok(plaintext.equals(await readFile(join(cwd, 'out'))));
  });
});

describe('none', () => {
  const cases: [name: string, args: string[], options?: Parameters<typeof start>[2]][] = [
    ['with --quiet', [...encryptToFile, '--quiet']],
    ['with --json', [...forAlice, '--json', '-o', 'out']],
    ['on a terminal that draws nothing over', encryptToFile, { env: { TERM: 'dumb' } }],
    ['when standard error is no terminal', encryptToFile, { inShell: '"$0" "$@" 2> errors' }],
  ];
  for (const [name, args, options] of cases) {
    test(name, async () => {
      const started = await start('kms-encrypt', args, options);
      // More than a pipe holds, so the command has read some of it.
      await started.input.writeFile(randomBytes(100_000));
      await untilABarWouldShow();
      await started.input.close();
      await ends(started, 0, '');
      assert.equal(started.terminal.output(), '');
      const names = readdirSync(started.cwd);
      if (names.includes('errors')) {
        assert.equal(readFileSync(join(started.cwd, 'errors'), 'utf8'), '');
      }
      assert.ok(names.includes('out'));
    });
  }

  test('when the payload itself appears there', async () => {
    const started = await start('kms-encrypt', forAlice);
    // In base64 less than the 4,095 bytes that a read of a terminal gives: of more, the kernel may
    // drop the rest once the program has ended (of what `cat` writes, too).
    const plaintext = randomBytes(2000);
    await started.input.writeFile(plaintext);
    await untilABarWouldShow();
    await started.input.close();
    assert.deepEqual(await started.terminal.exit(), { status: 0, signal: null });
    const output = started.terminal.output();
    const what = 'Your encrypted message:\r\n';
    assert.equal(output.slice(0, what.length), what);
    assert.match(output.slice(what.length), /^[\w+/]+=*\r\n$/);
    writeFileSync(join(started.cwd, 'ciphertext'), output.slice(what.length));
    assert.ok(plaintext.equals(await decrypted(join(started.cwd, 'ciphertext'))));
  });

  test('before the first byte: the sender may be asking for a password', async () => {
    const started = await start('kms-encrypt', encryptToFile);
    await untilABarWouldShow();
    assert.equal(started.terminal.output(), '');
    await started.input.close();
    await ends(started, 0, '');
  });
});

describe('the line', () => {
  const known: Progress = {
    bytes: 430 * mebibyte,
    totalBytes: 1024 * mebibyte,
    lines: undefined,
    bytesPerSecond: 98.2 * mebibyte,
  };

  test('says less in a narrower window', () => {
    for (const [columns, line] of [
      [79, ' 41%  [===========                ]  430 MiB of 1.00 GiB  98.2 MiB/s  0:07 left'],
      [59, ' 41%  430 MiB of 1.00 GiB  98.2 MiB/s  0:07 left'],
      [39, ' 41%  430 MiB  98.2 MiB/s  0:07 left'],
      [29, ' 41%  98.2 MiB/s  0:07 left'],
      [19, ' 41%  0:07 left'],
      [9, ' 41%'],
      [2, ' 4'],
    ] as const) {
      assert.equal(progressLine(known, columns), line);
    }
    const endless = { ...known, totalBytes: undefined };
    assert.equal(progressLine(endless, 19), '430 MiB  98.2 MiB/s');
    assert.equal(progressLine(endless, 18), '430 MiB');
  });

  test('fits, whatever it says', () => {
    const sizes = [0, 1, 999, 1000, 2 ** 20 - 1, 2 ** 40, 2 ** 53];
    for (const bytes of sizes) {
      for (const totalBytes of [undefined, ...sizes.filter((size) => size >= bytes && size > 0)]) {
        for (const lines of [undefined, 0, 1, 2 ** 40]) {
          for (const bytesPerSecond of [0, 1e-3, 1e12]) {
            for (let columns = 0; columns < 130; columns++) {
              const line = progressLine({ bytes, totalBytes, lines, bytesPerSecond }, columns);
              assert.ok(line.length <= columns, line);
              assert.doesNotMatch(line, /NaN|Infinity|undefined|e\+/);
            }
          }
        }
      }
    }
  });

  test('three digits for every size, and the time as a clock', () => {
    const line = (bytes: number, rate: number, seconds: number): string => {
      const totalBytes = bytes + rate * seconds;
      const progress = { bytes, totalBytes, lines: undefined, bytesPerSecond: rate };
      return progressLine(progress, 45).replace(/^ *\d+% {2}/, '');
    };
    assert.equal(line(1, 1, 59), '1 B of 60 B  1 B/s  0:59 left');
    assert.equal(line(1, 0.5, 59.1), '1 B of 31 B  1 B/s  1:00 left');
    assert.equal(line(999, 999, 3599), '999 B of 3.43 MiB  999 B/s  59:59 left');
    assert.equal(line(1000, 1000, 3600), '0.98 KiB  0.98 KiB/s  1:00:00 left');
    assert.equal(line(9.99 * 1024, 9.999 * 1024, 1), '9.99 KiB  10.0 KiB/s  0:01 left');
    assert.equal(line(1, 1023.4 * 1024, 359_999), '1 B  1.00 MiB/s  99:59:59 left');
    assert.equal(line(1, 99.96 * mebibyte, 360_000), '1 B of 34.3 TiB  100 MiB/s');
  });
});
