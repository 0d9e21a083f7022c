import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { KmsPocError } from '../../src/errors.ts';
import { type LocalKey, makeLocalKey, readLocalKey } from '../../src/keys/local-key.ts';
import { wrapWithLocalKey } from '../../src/keys/local-key.ts';
import { temporaryName } from '../../src/streams/temporary-file.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { checkLine, failureOf } from '../support/failure.ts';

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const newFile = (): string => join(temporaryFolder(), 'new', 'local.key');

async function read(file: string): Promise<LocalKey> {
  const key = await readLocalKey(file);
  assert.ok(key !== undefined);
  return key;
}

async function errorOf(pending: Promise<unknown>): Promise<KmsPocError> {
  const error = await pending.then(
    () => assert.fail('it was to fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KmsPocError, String(error));
  assert.deepEqual([error.code, error.status], ['KeyUnusable', 4]);
  checkLine(error.message);
  return error;
}

/** A path where no file can be read, not even by root. */
function loopIn(folder: string): string {
  const loop = join(folder, 'loop');
  symlinkSync(loop, loop);
  return loop;
}

describe('a new key', () => {
  test('is 32 random bytes in a file and a folder that only the owner can read', async () => {
    const umask = process.umask(0);
    try {
      const file = newFile();
      const key = await makeLocalKey(file);
      assert.deepEqual([modeOf(file), modeOf(dirname(file))], [0o600, 0o700]);
      assert.deepEqual(readdirSync(dirname(file)), ['local.key']);
      assert.equal(key.keyBytes.length, 32);
      assert.equal(key.stat, undefined);
      assert.match(key.fingerprint, /^[0-9a-f]{16}$/);
      assert.notDeepEqual((await makeLocalKey(newFile())).keyBytes, key.keyBytes);
    } finally {
      process.umask(umask);
    }
  });

  test('is read as it was created; the fingerprint reveals nothing about the key', async () => {
    const file = newFile();
    const made = await makeLocalKey(file);
    const { stat, ...again } = await read(file);
    assert.deepEqual({ ...again, stat: undefined }, made);
    assert.equal(stat?.isFile(), true);
    const hex = Buffer.from(made.keyBytes).toString('hex');
    assert.ok(!hex.includes(made.fingerprint.slice(0, 8)));
  });

  test('says in its file what it is', async () => {
    const file = newFile();
    await makeLocalKey(file);
    const lines = readFileSync(file, 'latin1').split('\n');
    assert.match(lines[0] ?? '', /^# A local key of kms-poc\./);
    assert.equal(lines.filter((line) => line !== '' && !line.startsWith('#')).length, 1);
  });

  test('never replaces an existing one', async () => {
    const file = newFile();
    const first = await makeLocalKey(file);
    const content = readFileSync(file);
    const { stat, ...again } = await makeLocalKey(file);
    assert.deepEqual({ ...again, stat: undefined }, first);
    assert.notEqual(stat, undefined);
    assert.deepEqual(readFileSync(file), content);
  });

  test('is not made beside one that a killed run left', async () => {
    const file = newFile();
    mkdirSync(dirname(file), { mode: 0o700 });
    const { pid } = process;
    const left = temporaryName().replace(new RegExp(`-${pid}-\\d+-`), `-${pid}-1-`);
    writeFileSync(join(dirname(file), left), 'another key');
    await makeLocalKey(file);
    assert.deepEqual(readdirSync(dirname(file)), ['local.key']);
  });
  test('when many are created at once, all are the first one', async () => {
    const file = newFile();
    const keys = await Promise.all(Array.from({ length: 8 }, () => makeLocalKey(file)));
    const kept = await read(file);
    for (const { keyBytes } of keys) assert.deepEqual(keyBytes, kept.keyBytes);
    assert.deepEqual(readdirSync(dirname(file)), ['local.key']);
  });

  test('where none can be created', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'file'), '');
    const error = await errorOf(makeLocalKey(join(folder, 'file', 'local.key')));
    assert.match(error.message, /\((?:ENOTDIR|EEXIST)\)\.$/);
    const behindLoop = await errorOf(makeLocalKey(join(loopIn(folder), 'local.key')));
    assert.match(behindLoop.message, /^Can't (?:create|read) the local key file .*\(\w+\)\.$/);
  });

  test('a dangling symlink is left as it is', async () => {
    const folder = temporaryFolder();
    const link = join(folder, 'local.key');
    symlinkSync(join(folder, 'gone'), link);
    await errorOf(makeLocalKey(link));
    assert.deepEqual(readdirSync(folder), ['local.key']);
  });
});

describe('a key file', () => {
  test('that does not exist is not an error', async () => {
    assert.equal(await readLocalKey(newFile()), undefined);
  });

  test('stays readable with the line ends of another system', async () => {
    const file = newFile();
    const made = await makeLocalKey(file);
    writeFileSync(file, readFileSync(file, 'latin1').replaceAll('\n', '\r\n'));
    assert.deepEqual((await read(file)).keyBytes, made.keyBytes);
  });

  const key = randomBytes(32).toString('base64');
  const broken: Record<string, string | Uint8Array> = {
    empty: '',
    'comments alone': '# A local key of kms-poc.\n',
    cut: key.slice(0, 30),
    'too short': `${randomBytes(31).toString('base64')}\n`,
    'too long': `${randomBytes(33).toString('base64')}\n`,
    'two keys': `${key}\n${key}\n`,
    'of other letters': `${key.slice(0, 20)}!${key.slice(21)}\n`,
    'of bytes': randomBytes(32),
  };
  for (const [name, content] of Object.entries(broken)) {
    test(`that is broken is left as it is: ${name}`, async () => {
      const file = join(temporaryFolder(), 'local.key');
      writeFileSync(file, content);
      for (const error of [await errorOf(readLocalKey(file)), await errorOf(makeLocalKey(file))]) {
        assert.equal(error.message, `${file} is not a local key file.`);
        assert.match(error.hint ?? '', /^It was not changed\./);
      }
      assert.deepEqual(readFileSync(file), Buffer.from(content));
    });
  }

  test('that cannot be read', async () => {
    const folder = temporaryFolder();
    for (const [file, reason] of [
      [folder, 'it is a folder (EISDIR)'],
      [loopIn(folder), 'too many symbolic links (ELOOP)'],
    ] as const) {
      const error = await errorOf(readLocalKey(file));
      assert.equal(error.message, `Can't read the local key file ${file}: ${reason}.`);
      assert.match(error.hint ?? '', /^It was not changed\./);
    }
  });
});

describe('the commands', () => {
  const defaultFile = (home: string): string => join(home, 'data', 'kms-poc', 'local.key');

  test('create a key on first use, and say so even with --quiet', async () => {
    for (const args of [[], ['--quiet']]) {
      const home = temporaryFolder();
      const file = defaultFile(home);
      const encrypt = (): ReturnType<typeof run> =>
        run('kms-encrypt', ['-u', 'alice', '-k', 'local', ...args], { stdin: 'x', home });
      const first = await encrypt();
      assert.equal(first.status, 0);
      assert.equal(
        first.stderr,
        `kms-encrypt: created a new local key: ${file}. Back it up: without it, what it encrypted is lost.\n`,
      );
      assert.deepEqual([modeOf(file), modeOf(dirname(file))], [0o600, 0o700]);
      const content = readFileSync(file);
      assert.equal((await encrypt()).stderr, '');
      assert.deepEqual(readFileSync(file), content);
    }
  });

  test('create it below the home folder if XDG_DATA_HOME is not an absolute path', async () => {
    for (const folder of ['', 'data', undefined]) {
      const home = temporaryFolder();
      const cwd = temporaryFolder();
      const env = { XDG_DATA_HOME: folder, XDG_CACHE_HOME: folder };
      const { status } = await run('kms-encrypt', ['-u', 'alice', '-k', 'local'], {
        stdin: 'x',
        home,
        cwd,
        env,
      });
      assert.equal(status, 0);
      assert.deepEqual(readdirSync(cwd), []);
      if (process.platform !== 'darwin') {
        assert.ok(existsSync(join(home, '.local', 'share', 'kms-poc', 'local.key')));
      }
    }
  });

  test('create it where local:FILE says', async () => {
    const cwd = temporaryFolder();
    const { status, stderr } = await run('kms-encrypt', ['-u', 'bob', '-k', 'local:a/b.key'], {
      stdin: 'x',
      cwd,
    });
    assert.equal(status, 0);
    assert.match(stderr, /created a new local key: a\/b\.key\./);
    assert.deepEqual([modeOf(join(cwd, 'a', 'b.key')), modeOf(join(cwd, 'a'))], [0o600, 0o700]);
  });

  test('that race for the first key all use the same one', async () => {
    const home = temporaryFolder();
    const runs = await Promise.all(
      ['one', 'two', 'three', 'four'].map((stdin) =>
        run('kms-encrypt', ['-u', 'alice', '-k', 'local'], { stdin, home }),
      ),
    );
    assert.deepEqual(readdirSync(dirname(defaultFile(home))), ['local.key']);
    // Only the one that made it says so.
    assert.equal(runs.filter(({ stderr }) => stderr.includes('created a new local key')).length, 1);
    const opened = await Promise.all(
      runs.map(({ stdout }) =>
        run('kms-decrypt', ['-u', 'alice', '-k', 'local'], { stdin: stdout, home }),
      ),
    );
    assert.deepEqual(
      opened.map(({ status, stdout }) => [status, stdout.toString()]),
      ['one', 'two', 'three', 'four'].map((text) => [0, text]),
    );
  });

  test('create none without a terminal unless it is named', async () => {
    for (const command of ['kms-encrypt', 'kms-decrypt'] as const) {
      const home = temporaryFolder();
      const failure = await failureOf(command, ['-u', 'alice'], { stdin: 'x', home });
      assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
      assert.equal(existsSync(join(home, 'data')), false);
    }
  });

  test('create none if there is nothing to encrypt, or nowhere to write it', async () => {
    for (const args of [
      ['--in', 'none'],
      ['--out', 'none/x'],
    ]) {
      const home = temporaryFolder();
      const failure = await failureOf('kms-encrypt', ['-u', 'alice', '-k', 'local', ...args], {
        home,
      });
      assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
      assert.equal(existsSync(join(home, 'data')), false);
    }
  });

  test('kms-decrypt creates none, and says which one is missing', async () => {
    const { stdout: message } = await run('kms-encrypt', ['-u', 'alice', '-k', 'local'], {
      stdin: 'x',
    });
    const home = temporaryFolder();
    const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'local'], {
      stdin: message,
      home,
    });
    assert.deepEqual([failure.status, failure.code], [4, 'KeyNotFound']);
    assert.equal(failure.message, `There is no local key ${defaultFile(home)}.`);
    assert.match(failure.hint ?? '', /--key local:FILE/);
    assert.equal(existsSync(join(home, 'data')), false);
  });

  test('leave a key file that is broken or cannot be read as it is', async () => {
    const { stdout: message } = await run('kms-encrypt', ['-u', 'alice', '-k', 'local'], {
      stdin: 'x',
    });
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'broken.key'), 'not a key\n');
    mkdirSync(join(cwd, 'folder.key'));
    for (const name of ['broken.key', 'folder.key']) {
      for (const command of ['kms-encrypt', 'kms-decrypt'] as const) {
        const failure = await failureOf(command, ['-u', 'alice', '-k', `local:${name}`], {
          stdin: message,
          cwd,
        });
        assert.deepEqual([failure.status, failure.code], [4, 'KeyUnusable']);
        assert.match(failure.message, new RegExp(name));
      }
    }
    assert.equal(readFileSync(join(cwd, 'broken.key'), 'latin1'), 'not a key\n');
    assert.deepEqual(readdirSync(join(cwd, 'folder.key')), []);
  });

  test('say when others can read the key, unless --quiet', async () => {
    const home = temporaryFolder();
    const encrypt = async (args: string[]): Promise<string> =>
      (await run('kms-encrypt', ['-u', 'alice', '-k', 'local', ...args], { stdin: 'x', home }))
        .stderr;
    await encrypt([]);
    chmodSync(defaultFile(home), 0o644);
    assert.equal(
      await encrypt([]),
      `kms-encrypt: other users can read ${defaultFile(home)}. Run: chmod 600 ${defaultFile(home)}\n`,
    );
    assert.equal(await encrypt(['-q']), '');
  });
});

test('bytes that were used and zeroed never become a key', async () => {
  const key = await makeLocalKey(newFile());
  await wrapWithLocalKey(key);
  assert.deepEqual(Buffer.from(key.keyBytes), Buffer.alloc(32));
  await assert.rejects(wrapWithLocalKey(key), /a local key was used twice/);
});
