/** Descriptors that are already open, by their names or closed, and files that can't be replaced. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { commandLine, type Finished, run, temporaryFolder } from '../../support/command.ts';

type Command = 'kms-encrypt' | 'kms-decrypt' | 'kms-reencrypt';

const secret = 'this is a secret';
const home = temporaryFolder();
const args = ['-q', '-u', 'alice', '-k', 'local'];
const isRoot = process.getuid?.() === 0;

let message: Buffer;
before(async () => {
  ({ stdout: message } = await run('kms-encrypt', args, { stdin: secret, home }));
});

/** Runs a line of bash in which COMMAND is the command with its arguments. */
function inBash(
  line: string,
  command: Command,
  more: string[],
  cwd = temporaryFolder(),
): Promise<Finished> {
  const toKey = command === 'kms-reencrypt' ? ['--to-key', 'local'] : [];
  const { file, args: all } = commandLine(command, [...args, ...toKey, ...more]);
  const script = line.replace('COMMAND', '"$0" "$@"');
  return run('bash', ['-c', script, file, ...all], { home, cwd });
}

const opened = async (stdin: string | Buffer): Promise<string> => {
  const { stdout, stderr } = await run('kms-decrypt', args, { stdin, home });
  return stdout.toString() || stderr;
};

describe('a name that means a descriptor', () => {
  for (const name of ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1', 'link']) {
    test(`${name} is standard output: a log that it goes to is continued`, async () => {
      const cwd = temporaryFolder();
      symlinkSync('/dev/stdout', join(cwd, 'link'));
      writeFileSync(join(cwd, 'log'), 'before\n');
      const line = 'echo "this is a secret" | COMMAND >> log';
      const done = await inBash(line, 'kms-encrypt', ['-o', name], cwd);
      assert.deepEqual([done.status, done.stderr], [0, '']);
      const [first, second = '', ...rest] = readFileSync(join(cwd, 'log'), 'utf8').split('\n');
      assert.deepEqual([first, rest], ['before', ['']]);
      assert.equal(await opened(second), `${secret}\n`);
    });
  }

  test('/dev/stderr, and one that was opened in the shell', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'plain'), secret);
    for (const [line, out] of [
      ['COMMAND 2> out', '/dev/stderr'],
      ['COMMAND 5> out', '/dev/fd/5'],
    ] as const) {
      const done = await inBash(line, 'kms-encrypt', ['-i', 'plain', '-o', out], cwd);
      assert.deepEqual([done.status, done.stdout.length], [0, 0]);
      assert.equal(await opened(readFileSync(join(cwd, 'out'))), secret);
    }
    const both = await inBash('COMMAND 3< plain', 'kms-encrypt', ['-i', '/dev/fd/3'], cwd);
    assert.equal(await opened(both.stdout), secret);
    const substituted = `echo '${secret}' | "$0" "$@" -i <(cat plain)`;
    const byPipe = await inBash(substituted, 'kms-encrypt', [], cwd);
    assert.equal(await opened(byPipe.stdout), secret);
  });

  test('/dev/stdin is read from where it stands', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'two'), 'first\nsecond');
    const line = '{ read -r line; COMMAND; } < two';
    const done = await inBash(line, 'kms-encrypt', ['-i', '/dev/stdin'], cwd);
    assert.equal(await opened(done.stdout), 'second');
  });

  test('on a socket, too, where the name can’t be opened', async () => {
    const script =
      'import socket, subprocess, sys\n' +
      'ours, theirs = socket.socketpair()\n' +
      'p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=theirs)\n' +
      'p.communicate(b"this is a secret"); theirs.close()\n' +
      'sys.stdout.buffer.write(ours.recv(10000)); sys.exit(p.returncode)\n';
    const { file, args: all } = commandLine('kms-encrypt', [...args, '-o', '/dev/stdout']);
    const done = await run('python3', ['-c', script, file, ...all], { home });
    assert.deepEqual([done.status, done.stderr], [0, '']);
    assert.equal(await opened(done.stdout), secret);
  });

  test('that is not open is a usage error, and Node’s own are not touched', async () => {
    for (const descriptor of [3, 5, 7, 9, 12, 17, 20, 99]) {
      for (const option of ['-i', '-o']) {
        const line = 'echo x | COMMAND';
        const done = await inBash(line, 'kms-encrypt', [option, `/dev/fd/${descriptor}`]);
        assert.deepEqual([done.status, done.signal, done.stdout.length], [2, null, 0]);
        assert.match(
          done.stderr,
          /^kms-encrypt: Descriptor \d+ \(\/dev\/fd\/\d+\) is not open\.$/m,
        );
      }
    }
  });
});

describe('standard output that is the input', () => {
  for (const [name, line, more] of [
    ['by --in', 'COMMAND >> file', ['-i', 'file']],
    ['by standard input', 'COMMAND < file >> file', []],
    ['by a descriptor', 'COMMAND < file >> file', ['-o', '/dev/fd/1']],
  ] as const) {
    test(`${name} is refused, and stays as it is`, async () => {
      const cwd = temporaryFolder();
      writeFileSync(join(cwd, 'file'), message);
      for (const command of ['kms-encrypt', 'kms-decrypt', 'kms-reencrypt'] as const) {
        const done = await inBash(line, command, [...more], cwd);
        assert.equal(done.status, 2);
        assert.match(done.stderr, /is both the input and the output\.\nhint: /);
        assert.ok(readFileSync(join(cwd, 'file')).equals(message));
      }
    });
  }

  test('but /dev/null may be both', async () => {
    const done = await inBash('COMMAND < /dev/null > /dev/null', 'kms-encrypt', []);
    assert.deepEqual([done.status, done.stderr], [0, '']);
  });
});

describe('a closed descriptor', () => {
  test('for output is status 1, before a message is asked for', async () => {
    for (const more of [[], ['--json'], ['--binary']]) {
      const done = await inBash('echo x | COMMAND >&-', 'kms-encrypt', more);
      assert.equal(done.status, 1);
      assert.match(done.stderr, /Standard output is closed\./);
    }
    const help = await run('bash', ['-c', '"$0" --help >&-', commandLine('kms-encrypt', []).file]);
    assert.equal(help.status, 1);
    const doctor = commandLine('kms-doctor', []).file;
    assert.equal((await run('bash', ['-c', '"$0" >&-', doctor])).status, 1);
  });

  test('for input is status 2', async () => {
    for (const command of ['kms-encrypt', 'kms-decrypt', 'kms-reencrypt'] as const) {
      const done = await inBash('COMMAND <&-', command, []);
      assert.deepEqual([done.status, done.stdout.length], [2, 0]);
      assert.match(done.stderr, /Standard input is closed\.\nhint: /);
    }
  });

  test('is no matter where it is not used', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'plain'), secret);
    const more = ['-i', 'plain', '-o', 'out'];
    const done = await inBash('COMMAND <&- >&-', 'kms-encrypt', more, cwd);
    assert.deepEqual([done.status, done.stderr], [0, '']);
    assert.equal(await opened(readFileSync(join(cwd, 'out'))), secret);
  });
});

describe('names of files', () => {
  test('of 255 bytes work', async () => {
    const cwd = temporaryFolder();
    const long = 'ü'.repeat(127) + 'x';
    for (const round of [1, 2]) {
      const done = await run('kms-encrypt', [...args, '-o', long], { cwd, home, stdin: secret });
      assert.deepEqual([done.status, done.stderr], [0, ''], `round ${round}`);
    }
    assert.deepEqual(readdirSync(cwd), [long]);
    assert.equal(await opened(readFileSync(join(cwd, long))), secret);
  });

  test('that end in a slash are folders, there or not', async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, 'there'));
    for (const name of ['missing/', 'there/', 'there']) {
      const done = await run('kms-encrypt', [...args, '-o', name], { cwd, home, stdin: secret });
      assert.equal(done.status, 2);
      assert.match(done.stderr, /folder, not a file\.\nhint: /);
    }
    assert.deepEqual(readdirSync(cwd), ['there']);
  });
});

/**
 * Runs a command as a user without rights, where these tests run as root.
 *
 * @param before what a shell does before
 */
async function asNobody(more: string[], cwd: string, before = ''): Promise<Finished> {
  const folder = temporaryFolder();
  cpSync(join(import.meta.dirname, '../../../dist'), join(folder, 'dist'), { recursive: true });
  for (const each of [folder, cwd]) chmodSync(each, 0o755);
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  const program = join(folder, 'dist', 'kms-encrypt.js');
  const all = ['-c', `${before} exec "$0" "$@"`, program, '-q', '-u', 'alice', ...more];
  const options = { cwd, home: cwd, stdin: secret };
  return isRoot ? run('setpriv', [...nobody, 'sh', ...all], options) : run('sh', all, options);
}

describe('folders and files with rights of their own', () => {
  test('a folder that may be written to but not listed', async () => {
    const cwd = temporaryFolder();
    const [dropbox, keys] = [join(cwd, 'dropbox'), join(cwd, 'keys')];
    for (const folder of [dropbox, keys]) {
      mkdirSync(folder);
      if (isRoot) chownSync(folder, 65534, 65534);
    }
    chmodSync(dropbox, 0o300);
    const done = await asNobody(['-k', `local:${keys}/k`, '-o', `${dropbox}/out`], cwd);
    assert.equal(done.status, 0, done.stderr);
    chmodSync(dropbox, 0o700);
    assert.deepEqual(readdirSync(dropbox), ['out']);
  });

  test('a current folder that may not be entered is named, not an .env', async () => {
    const cwd = temporaryFolder();
    const inner = join(cwd, 'inner');
    mkdirSync(inner);
    if (isRoot) chownSync(inner, 65534, 65534);
    const done = await asNobody(['-k', 'local:k'], cwd, 'cd inner; chmod 0 .;');
    chmodSync(inner, 0o700);
    assert.deepEqual([done.status, done.stdout.length], [2, 0]);
    assert.match(
      done.stderr,
      /^kms-encrypt: Can't look for \.env in the current folder: permission denied \(EACCES\)\.$/m,
    );
  });

  test('in place, mode, owner and group stay', async () => {
    const cwd = temporaryFolder();
    const file = join(cwd, 'file');
    writeFileSync(file, message);
    chmodSync(file, 0o664);
    if (isRoot) chownSync(file, 12_345, 23_456);
    const { uid, gid, mode } = statSync(file);
    const moving = [...args, '--to-key', 'local', '-i', file];
    const done = await run('kms-reencrypt', [...moving, '-o', file], { cwd, home });
    assert.equal(done.status, 0, done.stderr);
    const now = statSync(file);
    assert.deepEqual([now.uid, now.gid, now.mode], [uid, gid, mode]);
    assert.ok(!readFileSync(file).equals(message));
    // Another file is the user's own.
    const other = await run('kms-reencrypt', [...moving, '-o', 'new'], { cwd, home });
    assert.equal(other.status, 0, other.stderr);
    assert.equal(statSync(join(cwd, 'new')).mode & 0o777, 0o600);
    assert.equal(statSync(join(cwd, 'new')).uid, process.getuid?.());
  });

  test(
    'a file of somebody else in a folder like /tmp',
    { skip: !isRoot && 'needs root' },
    async () => {
      const cwd = temporaryFolder();
      const shared = join(cwd, 'shared');
      mkdirSync(shared);
      mkdirSync(join(cwd, 'keys'), { mode: 0o777 });
      chmodSync(join(cwd, 'keys'), 0o777);
      chmodSync(shared, 0o1777);
      writeFileSync(join(shared, 'file'), 'theirs');
      const done = await asNobody(['-k', `local:${cwd}/keys/k`, '-o', join(shared, 'file')], cwd);
      assert.equal(done.status, 2, done.stderr);
      assert.match(done.stderr, /can't be replaced: it belongs to another user/);
      assert.equal(readFileSync(join(shared, 'file'), 'utf8'), 'theirs');
      assert.deepEqual(readdirSync(join(cwd, 'keys')), [], 'found before the work');
    },
  );

  // What only root may set up, and not every machine allows.
  const attempt = (command: string, ...more: string[]): boolean => {
    try {
      execFileSync(command, more, { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  for (const [name, set, unset, says] of [
    ['mounted on', ['mount', '--bind', 'source'], ['umount'], /it is a mount point/],
    ['immutable', ['chattr', '+i'], ['chattr', '-i'], /it is immutable \(EPERM\)/],
  ] as const) {
    test(`a file that is ${name} is found before the work`, async (t) => {
      const cwd = temporaryFolder();
      const target = join(cwd, 'a target');
      for (const file of [target, join(cwd, 'source')]) writeFileSync(file, 'old');
      const [command, ...more] = set;
      const given = more.map((each) => (each === 'source' ? join(cwd, each) : each));
      if (!attempt(command, ...given, target)) {
        t.skip(`this machine doesn't allow ${command}`);
        return;
      }
      try {
        const all = ['-q', '-u', 'alice', '-k', `local:${cwd}/new.key`, '-o', target];
        const done = await run('kms-encrypt', all, { cwd, home, stdin: secret });
        assert.deepEqual([done.status, done.stdout.length], [2, 0]);
        assert.match(done.stderr, says);
        assert.match(done.stderr, /^hint: Write to another file, or to standard output: > FILE$/m);
        assert.ok(!readdirSync(cwd).includes('new.key'));
      } finally {
        attempt(unset[0], ...unset.slice(1), target);
      }
      assert.equal(readFileSync(target, 'utf8'), 'old');
    });
  }
});
