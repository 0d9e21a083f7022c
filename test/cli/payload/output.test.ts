/**
 * Files, pipes and devices from a command's point of view: where a message comes from and goes to.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { watch } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  commandLine,
  type Finished,
  run,
  surroundings,
  temporaryFolder,
} from '../../support/command.ts';
import { type Failure, failureOf, readFailure } from '../../support/failure.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { startOnTerminal } from '../../support/pseudo-terminal.ts';

type Command = 'kms-encrypt' | 'kms-decrypt';

const secret = 'this is a secret';
const home = temporaryFolder();
const args = ['-u', 'alice', '-k', 'local'];
const options = (cwd: string): { home: string; cwd: string } => ({ home, cwd });

/**
 * Encrypted for alice, in base64: one with a single frame, and one with four, the last one changed.
 */
let short: Buffer;
let brokenAtItsEnd: Buffer;
const longPlaintext = randomBytes(3.5 * 2 ** 20);
before(async () => {
  ({ stdout: short } = await run('kms-encrypt', args, { stdin: secret, home }));
  const { stdout: long } = await run('kms-encrypt', [...args, '--binary'], {
    stdin: longPlaintext,
    home,
  });
  brokenAtItsEnd = Buffer.from(long);
  brokenAtItsEnd[long.length - 1] = (long.at(-1) ?? 0) ^ 1;
});

const isShort = (file: string): Promise<void> =>
  run('kms-decrypt', [...args, '--in', file], { home }).then(({ status, stdout }) => {
    assert.deepEqual([status, stdout.toString()], [0, secret]);
  });

/** Runs a command within a line of shell: `COMMAND` in it is the command with its arguments. */
function inShell(line: string, command: Command, more: string[], cwd: string): Promise<Finished> {
  const { file, args: commandArgs } = commandLine(command, [...args, ...more]);
  const script = line.replace('COMMAND', '"$0" "$@"');
  return run('sh', ['-c', script, file, ...commandArgs], { home, cwd });
}

/** Starts a command that runs until it is told to stop. */
function start(command: Command, more: string[], cwd: string, env = {}): ChildProcess {
  const { file, args: commandArgs } = commandLine(command, more);
  return spawn(file, commandArgs, { ...surroundings({ home, cwd, env }), stdio: 'pipe' });
}

async function makeFifo(path: string): Promise<void> {
  assert.equal((await run('mkfifo', [path])).status, 0);
}

function refused(failure: Failure, says: RegExp): void {
  assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
  assert.match(failure.message, says);
}

describe('--out', () => {
  test('creates a file only its owner can read, whatever the umask, and prints nothing on standard output', async () => {
    const cwd = temporaryFolder();
    const { status, stdout } = await inShell(
      'umask 0; printf "this is a secret" | COMMAND',
      'kms-encrypt',
      ['--out', 'new'],
      cwd,
    );
    assert.deepEqual([status, stdout.length], [0, 0]);
    assert.equal(statSync(join(cwd, 'new')).mode & 0o777, 0o600);
    await isShort(join(cwd, 'new'));
    assert.deepEqual(readdirSync(cwd), ['new']);
  });

  test('replaces an existing file with one only its owner can read', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'old'), 'old'.repeat(1000), { mode: 0o644 });
    const { status } = await run('kms-decrypt', [...args, '-o', 'old'], {
      stdin: short,
      ...options(cwd),
    });
    assert.equal(status, 0);
    assert.equal(readFileSync(join(cwd, 'old'), 'latin1'), secret);
    assert.equal(statSync(join(cwd, 'old')).mode & 0o777, 0o600);
  });

  test('- is standard output', async () => {
    const { stdout } = await run('kms-decrypt', [...args, '-o', '-'], { stdin: short, home });
    assert.equal(stdout.toString(), secret);
  });

  test('takes --json too', async () => {
    const cwd = temporaryFolder();
    await run('kms-decrypt', [...args, '-o', 'x', '--json'], { stdin: short, ...options(cwd) });
    const { message } = JSON.parse(readFileSync(join(cwd, 'x'), 'utf8')) as { message: string };
    assert.equal(message, secret);
  });

  test('is all or nothing: a failed run leaves the old file, and no other', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'old'), 'old');
    for (const [user, stdin] of [
      ['bob', short],
      ['alice', brokenAtItsEnd],
      ['alice', brokenAtItsEnd.subarray(0, -1)],
      ['alice', 'this is a secret.'],
    ] as const) {
      for (const name of ['old', 'new']) {
        const failure = await failureOf('kms-decrypt', ['-u', user, '-k', 'local', '--out', name], {
          stdin,
          ...options(cwd),
        });
        assert.equal(failure.status, 3, failure.message);
      }
    }
    assert.deepEqual(readdirSync(cwd), ['old']);
    assert.equal(readFileSync(join(cwd, 'old'), 'latin1'), 'old');
  });

  test('without it, verified frames go out, and the status tells whether that is everything', async () => {
    const { status, stdout, stderr } = await run('kms-decrypt', args, {
      stdin: brokenAtItsEnd,
      home,
    });
    assert.equal(status, 3);
    assert.match(stderr, /changed or damaged/);
    assert.ok(stdout.length > 0, 'frames before the broken one');
    assert.ok(stdout.equals(longPlaintext.subarray(0, stdout.length)));
    assert.ok(stdout.length < longPlaintext.length);
  });

  test('keeps symlinks, and replaces or creates what they point to', async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, 'folder'));
    writeFileSync(join(cwd, 'folder', 'target'), 'old');
    mkdirSync(join(cwd, 'other', 'inner'), { recursive: true });
    symlinkSync('folder', join(cwd, 'folder-link'));
    symlinkSync('other/inner', join(cwd, 'inner-link'));
    const links: [string, string][] = [
      ['link', 'folder/target'],
      ['link-to-link', 'link'],
      ['dangling', 'folder/made'],
      ['dangling-twice', 'dangling-on'],
      ['dangling-on', 'folder-link/../made-too'],
      ['through-a-link', 'inner-link/../made-there'],
    ];
    for (const [link, target] of links) symlinkSync(target, join(cwd, link));
    for (const [name, written] of [
      ['link', 'folder/target'],
      ['link-to-link', 'folder/target'],
      ['dangling', 'folder/made'],
      ['dangling-twice', 'made-too'],
      ['through-a-link', 'other/made-there'],
      ['folder-link/direct', 'folder/direct'],
    ] as const) {
      const { status, stderr } = await run('kms-decrypt', [...args, '--out', name], {
        stdin: short,
        ...options(cwd),
      });
      assert.deepEqual([status, stderr], [0, '']);
      assert.equal(readFileSync(join(cwd, written), 'latin1'), secret);
      writeFileSync(join(cwd, written), 'old');
    }
    for (const [link, target] of links) assert.equal(readlinkSync(join(cwd, link)), target);
    assert.deepEqual(readdirSync(join(cwd, 'folder')).sort(), ['direct', 'made', 'target']);
  });

  test('refuses the input file, under any name', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'message'), short);
    symlinkSync('message', join(cwd, 'symlink'));
    linkSync(join(cwd, 'message'), join(cwd, 'hardlink'));
    for (const name of ['message', './message', 'symlink', 'hardlink']) {
      const failure = await failureOf(
        'kms-decrypt',
        [...args, '--in', 'message', '--out', name],
        options(cwd),
      );
      refused(failure, /is both the input and the output\.$/);
    }
    const redirected = await inShell('COMMAND <message', 'kms-decrypt', ['-o', 'symlink'], cwd);
    assert.deepEqual([redirected.status, redirected.stdout.length], [2, 0]);
    assert.ok(readFileSync(join(cwd, 'message')).equals(short));
    assert.deepEqual(readdirSync(cwd).sort(), ['hardlink', 'message', 'symlink']);
  });

  test('refuses what cannot be a file, before the message is read', async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, 'folder'));
    writeFileSync(join(cwd, 'file'), '');
    symlinkSync('loop', join(cwd, 'loop'));
    for (const [name, says] of [
      ['folder', /^folder is a folder, not a file\.$/],
      ['none/x', /^Can't write none\/x: no such folder \(ENOENT\)\.$/],
      ['file/x', /^Can't write file\/x: a part of the path is not a folder \(ENOTDIR\)\.$/],
      ['loop', /^Can't write loop: too many symbolic links \(ELOOP\)\.$/],
    ] as const) {
      for (const command of ['kms-encrypt', 'kms-decrypt'] as const) {
        refused(await failureOf(command, [...args, '--out', name], options(cwd)), says);
      }
    }
    assert.deepEqual(readdirSync(cwd).sort(), ['file', 'folder', 'loop']);
  });

  test('writes directly to a device and to a FIFO', async () => {
    const cwd = temporaryFolder();
    // Even if the input is the same device.
    const toNull = await inShell('COMMAND </dev/null', 'kms-encrypt', ['-o', '/dev/null'], cwd);
    assert.deepEqual([toNull.status, toNull.stderr], [0, '']);
    assert.ok(statSync('/dev/null').isCharacterDevice());

    const message = join(temporaryFolder(), 'message');
    writeFileSync(message, short);
    const toPipe = await inShell(
      'COMMAND | cat',
      'kms-decrypt',
      ['-o', '/dev/stdout', '-i', message],
      cwd,
    );
    assert.deepEqual([toPipe.stderr, toPipe.stdout.toString()], ['', secret]);

    await makeFifo(join(cwd, 'fifo'));
    const [written, read] = await Promise.all([
      run('kms-decrypt', [...args, '--out', 'fifo'], { stdin: short, ...options(cwd) }),
      run('cat', ['fifo'], { cwd }),
    ]);
    assert.deepEqual([written.status, read.stdout.toString()], [0, secret]);
    assert.ok(lstatSync(join(cwd, 'fifo')).isFIFO());
    assert.deepEqual(readdirSync(cwd), ['fifo']);
  });

  test('a full disk is status 1 with a line that says so', async () => {
    const cwd = temporaryFolder();
    const toDevice = await failureOf('kms-decrypt', [...args, '--out', '/dev/full'], {
      stdin: short,
      home,
    });
    assert.deepEqual([toDevice.status, toDevice.code], [1, 'FileError']);
    assert.equal(toDevice.message, "Can't write /dev/full: the disk is full (ENOSPC).");
    assert.match(toDevice.hint ?? '', /Free some space/);
    writeFileSync(join(cwd, 'message'), short);
    for (const [command, more] of [
      ['kms-encrypt', []],
      ['kms-encrypt', ['--binary']],
      ['kms-decrypt', []],
      ['kms-decrypt', ['--json']],
    ] as const) {
      const { status, stderr } = await inShell(
        'COMMAND <message >/dev/full',
        command,
        [...more],
        cwd,
      );
      assert.equal(status, 1);
      assert.match(stderr, /Can't write standard output: the disk is full \(ENOSPC\)\./);
    }
  });

  test('a disk that fills up halfway leaves the old file, and no other', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'old'), 'old');
    const input = join(temporaryFolder(), 'input');
    writeFileSync(input, longPlaintext);
    // Instead, a limit on the size of files: 2,000 blocks of 512 bytes.
    for (const more of [[], ['--binary']]) {
      const { status, stdout, stderr } = await inShell(
        'ulimit -f 2000; COMMAND',
        'kms-encrypt',
        ['--in', input, '--out', 'old', ...more],
        cwd,
      );
      assert.deepEqual([status, stdout.length], [1, 0]);
      assert.match(
        stderr,
        /^kms-encrypt: Can't write \S*old: the file is too large \(EFBIG\)\.\nhint: [^\n]*\n$/,
      );
      assert.deepEqual(readdirSync(cwd), ['old']);
      assert.equal(readFileSync(join(cwd, 'old'), 'latin1'), 'old');
    }
  });

  test('a folder that vanishes with half of the file written', async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, 'folder');
    mkdirSync(folder);
    const appeared = firstOf(watch(folder));
    const child = start('kms-encrypt', [...args, '--out', 'folder/new'], cwd);
    const ended = finished(child);
    child.stdin?.write(longPlaintext);
    await appeared;
    rmSync(folder, { recursive: true });
    child.stdin?.end();
    const { status, stdout, stderr } = await ended;
    assert.deepEqual([status, stdout.length], [1, 0]);
    assert.match(
      stderr,
      /^kms-encrypt: Can't write \S*folder\/new: no such file \(ENOENT\)\.\nhint: [^\n]*\n$/,
    );
    assert.deepEqual(readdirSync(cwd), []);
  });
});

describe('a reader that goes away', () => {
  for (const command of ['kms-encrypt', 'kms-decrypt'] as const) {
    test(`is status 141, and ${command} says nothing`, async () => {
      const cwd = temporaryFolder();
      const { stdout: message } = await run('kms-encrypt', [...args, '--binary'], {
        stdin: longPlaintext,
        home,
      });
      writeFileSync(join(cwd, 'input'), command === 'kms-encrypt' ? longPlaintext : message);
      const { stdout, stderr } = await inShell(
        '{ COMMAND <input; echo $? >status; } | head -c 10',
        command,
        [],
        cwd,
      );
      assert.equal(stdout.length, 10);
      assert.equal(stderr, '');
      assert.equal(readFileSync(join(cwd, 'status'), 'latin1'), '141\n');
    });
  }

  test('of a FIFO too', async () => {
    const cwd = temporaryFolder();
    await makeFifo(join(cwd, 'fifo'));
    const [{ status, stderr }] = await Promise.all([
      run('kms-encrypt', [...args, '--out', 'fifo'], { stdin: longPlaintext, ...options(cwd) }),
      run('head', ['-c', '10', 'fifo'], { cwd }),
    ]);
    assert.deepEqual([status, stderr], [141, '']);
  });
});

describe('--in and standard input', () => {
  test('a file, by name or as standard input', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'message'), short);
    for (const line of ['COMMAND --in message', 'COMMAND -i - <message', 'COMMAND <message']) {
      const { status, stdout } = await inShell(line, 'kms-decrypt', [], cwd);
      assert.deepEqual([status, stdout.toString()], [0, secret]);
    }
  });

  test('a FIFO', async () => {
    const cwd = temporaryFolder();
    await makeFifo(join(cwd, 'fifo'));
    const [{ stdout }] = await Promise.all([
      run('kms-decrypt', [...args, '--in', 'fifo'], options(cwd)),
      run('sh', ['-c', 'cat >fifo'], { stdin: short, cwd }),
    ]);
    assert.equal(stdout.toString(), secret);
  });

  test('what is not a file', async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, 'folder'));
    symlinkSync('loop', join(cwd, 'loop'));
    for (const [name, says] of [
      ['none', /^Can't read none: no such file \(ENOENT\)\.$/],
      ['loop', /^Can't read loop: too many symbolic links \(ELOOP\)\.$/],
      ['folder', /^folder is a folder, not a file\.$/],
    ] as const) {
      for (const command of ['kms-encrypt', 'kms-decrypt'] as const) {
        refused(await failureOf(command, [...args, '--in', name], options(cwd)), says);
      }
    }
  });

  test('a file that fails while being read', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'old'), 'old');
    for (const more of [[], ['--batch']]) {
      const { status, stdout, stderr } = await run(
        'kms-encrypt',
        [...args, ...more, '--in', '/proc/self/mem', '--out', 'old'],
        options(cwd),
      );
      assert.deepEqual([status, stdout.length], [1, 0]);
      assert.equal(
        stderr,
        "kms-encrypt: Can't read /proc/self/mem: EIO.\nhint: Check that the input can be read to its end.\n",
      );
    }
    assert.deepEqual(readdirSync(cwd), ['old']);
    assert.equal(readFileSync(join(cwd, 'old'), 'latin1'), 'old');
  });

  test('a file that vanishes after the command has started is read to its end', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'message'), short);
    const terminal = startOnTerminal('kms-decrypt', ['-k', 'local', '-i', 'message'], options(cwd));
    await terminal.waitFor('alice');
    rmSync(join(cwd, 'message'));
    terminal.write('\r');
    await terminal.waitFor(secret);
    assert.equal((await terminal.exit()).status, 0);
  });

  test('a folder as standard input is an error, not an empty message', async () => {
    const folder = openSync(temporaryFolder(), 'r');
    const { file, args: commandArgs } = commandLine('kms-encrypt', [...args, '--json']);
    const failure = readFailure(
      await finished(
        spawn(file, commandArgs, { ...surroundings({ home }), stdio: [folder, 'pipe', 'pipe'] }),
      ),
    );
    closeSync(folder);
    refused(failure, /^Standard input is a folder/);
  });
});

describe('signals', () => {
  const awsAt = (endpoint: string): Record<string, string> => ({
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'any',
  });
  // Ended by the signal itself, which a shell reports as 128 + its number.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    test(`${signal} while KMS does not answer`, async () => {
      const proxy = await startFaultProxy();
      proxy.fault({ kind: 'silence' });
      const cwd = temporaryFolder();
      writeFileSync(join(cwd, 'old'), 'old');
      const child = start(
        'kms-encrypt',
        ['-q', '-u', 'alice', '-k', 'alias/theKey', '--out', 'old'],
        cwd,
        awsAt(proxy.endpoint),
      );
      child.stdin?.end(secret);
      const ended = finished(child);
      await proxy.arrival('Encrypt');
      child.kill(signal);
      const { signal: endedBy, stdout, stderr } = await ended;
      assert.deepEqual([endedBy, stdout.length], [signal, 0]);
      assert.doesNotMatch(stderr, /secret|unexpected/);
      assert.deepEqual(readdirSync(cwd), ['old']);
      assert.equal(readFileSync(join(cwd, 'old'), 'latin1'), 'old');
      await proxy.stop();
    });
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
    test(`${signal} with half of a file written`, async () => {
      const cwd = temporaryFolder();
      mkdirSync(join(cwd, 'folder')); // SIGQUIT would put a core dump next to it
      const appeared = firstOf(watch(join(cwd, 'folder')));
      const child = start('kms-encrypt', [...args, '--out', 'folder/new'], cwd);
      const ended = finished(child);
      child.stdin?.write(longPlaintext); // and its end never comes
      await appeared;
      child.kill(signal);
      assert.equal((await ended).signal, signal);
      assert.deepEqual(readdirSync(join(cwd, 'folder')), []);
    });
  }

  test('SIGINT while nobody is at the other end of a FIFO', async () => {
    for (const [option, name] of [
      ['--in', 'fifo'],
      ['--out', 'fifo'],
    ] as const) {
      const cwd = temporaryFolder();
      await makeFifo(join(cwd, name));
      writeFileSync(join(cwd, '.env'), '', { mode: 0o644 });
      const child = start('kms-encrypt', [...args, option, name], cwd);
      const ended = finished(child);
      child.stdin?.end(secret);
      // It prints this, and then opens the input and the output.
      if (child.stderr !== null) await once(child.stderr, 'data');
      child.kill('SIGINT');
      assert.equal((await ended).signal, 'SIGINT');
    }
  });
});

test('the next run removes what a killed run left next to the file', async () => {
  const cwd = temporaryFolder();
  // Killed while it waits for more of its input, with half of its output written.
  const child = start('kms-decrypt', [...args, '-o', 'out'], cwd);
  child.stdin?.write(brokenAtItsEnd.subarray(0, 3 * 2 ** 20));
  while (readdirSync(cwd).length === 0) await delay(5);
  const [left = ''] = readdirSync(cwd);
  assert.match(left, /^\.kms-poc-.*\.tmp$/);
  const other = await run('kms-encrypt', [...args, '-o', 'other'], { home, cwd, stdin: 'x' });
  assert.equal(other.status, 0, other.stderr);
  assert.ok(readdirSync(cwd).includes(left), 'the file of a live run is left alone');

  child.kill('SIGKILL');
  await once(child, 'exit');
  const done = await run('kms-encrypt', [...args, '-o', 'out'], { home, cwd, stdin: 'x' });
  assert.equal(done.status, 0, done.stderr);
  assert.deepEqual(readdirSync(cwd).sort(), ['other', 'out']);
});

describe('kill -9 at any moment', () => {
  const length = 2 ** 26;
  const rounds = 6;
  let folder: string;
  before(async () => {
    folder = temporaryFolder();
    writeFileSync(join(folder, 'plain'), Buffer.alloc(length, longPlaintext));
    const more = ['-i', join(folder, 'plain'), '-o', join(folder, 'message'), '--binary'];
    assert.equal((await run('kms-encrypt', [...args, ...more], { home })).status, 0);
  });
  /** From before the command has started until it would be done. */
  const moment = (): Promise<void> => delay(Math.random() * 1000);

  for (const [command, input] of [
    ['kms-encrypt', 'plain'],
    ['kms-decrypt', 'message'],
  ] as const) {
    test(`${command} leaves the old file, or the whole new one`, async () => {
      const cwd = temporaryFolder();
      for (let round = 0; round < rounds; round++) {
        writeFileSync(join(cwd, 'out'), 'old');
        const child = start(command, [...args, '-i', join(folder, input), '-o', 'out'], cwd);
        const ended = finished(child);
        await moment();
        child.kill('SIGKILL');
        const { status } = await ended;
        const { size } = statSync(join(cwd, 'out'));
        // It can also be killed after the rename, before it exits.
        const isWhole = size >= length;
        assert.ok(isWhole || (status !== 0 && size === 3), `${status}: ${size} bytes`);
      }
    });
  }

  test('kms-decrypt to a pipe: what went out is the beginning of the message', async () => {
    const plain = readFileSync(join(folder, 'plain'));
    for (let round = 0; round < rounds; round++) {
      const child = start('kms-decrypt', [...args, '-i', join(folder, 'message')], folder);
      const ended = finished(child);
      await moment();
      child.kill('SIGKILL');
      const { stdout } = await ended;
      assert.ok(stdout.equals(plain.subarray(0, stdout.length)));
    }
  });
});

/** Resolves with the name of the first file that appears in a folder. */
async function firstOf(events: AsyncIterable<{ filename: string | null }>): Promise<string | null> {
  for await (const { filename } of events) return filename;
  return null;
}

function finished(child: ChildProcess): Promise<Finished> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin?.on('error', () => undefined);
  return new Promise((resolve) => {
    child.on('close', (status, signal) => {
      resolve({
        status,
        signal,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString(),
      });
    });
  });
}
