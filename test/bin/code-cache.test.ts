/**
 * The code cache changes how long a start takes, and nothing else. Where a run leaves a cache shows
 * which one it had: it makes those that it missed, in the user's cache folder.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { platform } from 'node:process';
import { describe, test } from 'node:test';
import { Script } from 'node:vm';

import { type Finished, run, temporaryFolder } from '../support/command.ts';

const builtFolder = join(import.meta.dirname, '..', '..', 'dist');

interface Installed {
  readonly home: string;
  /** Where the build makes its cache. */
  readonly builtCache: string;
  /** Where the commands make theirs. */
  readonly usersCache: string;
  readonly encrypt: () => Promise<Finished>;
  readonly decrypt: (ciphertext: Buffer) => Promise<Finished>;
}

/** A copy of dist/ for one user. */
function install(): Installed {
  const home = temporaryFolder();
  const dist = join(home, 'dist');
  cpSync(builtFolder, dist, { recursive: true });
  const command = (name: string, stdin: Uint8Array | string): Promise<Finished> =>
    run(join(dist, `${name}.js`), ['-u', 'alice', '-k', 'local', '-q'], { home, stdin });
  return {
    home,
    builtCache: join(dist, 'code-cache'),
    usersCache: join(
      home,
      ...(platform === 'darwin' ? ['Library', 'Caches'] : ['cache']),
      'kms-poc',
      'code-cache',
    ),
    encrypt: () => command('kms-encrypt', 'this is a secret'),
    decrypt: (ciphertext) => command('kms-decrypt', ciphertext),
  };
}

/** An install whose build left no cache, so that runs make one in the user's folder. */
function installWithoutCache(): Installed {
  const installed = install();
  rmSync(installed.builtCache, { recursive: true });
  return installed;
}

const filesIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).sort() : [];

/** Replaces each file of a cache by what `change` makes of it. */
function changeAll(folder: string, change: (bytes: Buffer, name: string) => Uint8Array): void {
  for (const name of filesIn(folder)) {
    writeFileSync(join(folder, name), change(readFileSync(join(folder, name)), name));
  }
}

async function assertWorks(installed: Installed): Promise<void> {
  const encrypted = await installed.encrypt();
  assert.deepEqual([encrypted.status, encrypted.stderr.replace(/^.*local key.*\n/gm, '')], [0, '']);
  const { status, stdout, stderr } = await installed.decrypt(encrypted.stdout);
  assert.deepEqual([status, stdout.toString(), stderr], [0, 'this is a secret', '']);
}

const digestBytes = 32;
/** A file of the cache that holds this. */
const sealed = (data: Buffer, source: Buffer): Buffer =>
  Buffer.concat([hash('sha256', data, 'buffer'), data, source]);
/** What a file of the cache holds, and the source that it was made from. */
const opened = (bytes: Buffer, name: string): [data: Buffer, source: Buffer] => {
  const [, part = ''] = /^kms-[a-z]+-[0-9a-f]+-(.*)-v\d/.exec(name) ?? [];
  const source = readFileSync(join(builtFolder, 'parts', `${part}.js`));
  return [bytes.subarray(digestBytes, bytes.length - source.length), source];
};

describe('the cache of the build', () => {
  test('has all that a message, a batch and a check of the setup load', async () => {
    const { home, usersCache } = install();
    const options = { home, env: { KEY_ID: 'local' } };
    const line = '{"user":"alice","message":"this is a secret"}\n';
    const encrypted = await run('kms-encrypt', ['-u', 'alice'], { ...options, stdin: 'hi' });
    const batch = await run('kms-encrypt', ['--batch'], { ...options, stdin: line });
    for (const [program, args, stdin] of [
      ['kms-decrypt', ['-u', 'alice'], encrypted.stdout],
      ['kms-decrypt', ['--batch'], batch.stdout],
      ['kms-reencrypt', ['-u', 'alice', '--to-key', 'local:other.key'], encrypted.stdout],
      ['kms-doctor', [], ''],
    ] as const) {
      const { status, stderr } = await run(program, [...args], { ...options, stdin });
      assert.equal(status, 0, stderr);
    }
    assert.deepEqual(filesIn(usersCache), []);
  });

  const flipped = (at: number) => (bytes: Buffer) => {
    bytes[at] = (bytes[at] ?? 0) ^ 0xff;
    return bytes;
  };
  const damages: Record<string, (bytes: Buffer, name: string) => Uint8Array> = {
    'is empty': () => Buffer.alloc(0),
    'is truncated': (bytes) => bytes.subarray(0, bytes.length / 2),
    'has a changed byte in its digest': flipped(3),
    // V8 doesn't notice: without the digest, these runs crash or do anything.
    'has a changed byte in its code': (bytes) => flipped(bytes.length >> 2)(bytes),
    'is something else': () => Buffer.from('#!/bin/sh\necho planted\n'.repeat(1000)),
    'was made by another version of V8': (bytes, name) => {
      const [data, source] = opened(bytes, name);
      return sealed(flipped(5)(data), source);
    },
    'was made from another source of the same length': (bytes, name) => {
      const [, source] = opened(bytes, name);
      const other = '(function () { process.exit(9) })'.padEnd(source.length);
      return sealed(new Script(other).createCachedData(), Buffer.from(other));
    },
  };
  for (const [what, damage] of Object.entries(damages)) {
    test(`that ${what} changes nothing but time`, async () => {
      const installed = install();
      changeAll(installed.builtCache, damage);
      await assertWorks(installed);
      assert.notDeepEqual(filesIn(installed.usersCache), [], 'the damaged cache was not used');
    });
  }

  test('is not missed', async () => {
    await assertWorks(installWithoutCache());
  });
});

describe("the cache in the user's folder", () => {
  test('is made by the first run, for the user alone, and used by the next', async () => {
    const { usersCache, encrypt } = installWithoutCache();
    await encrypt();
    const files = filesIn(usersCache);
    assert.notDeepEqual(files, []);
    assert.equal(statSync(usersCache).mode & 0o777, 0o700);
    const longAgo = new Date('2026-11-01');
    for (const name of files) {
      assert.equal(statSync(join(usersCache, name)).mode & 0o777, 0o600);
      utimesSync(join(usersCache, name), longAgo, longAgo);
    }
    assert.equal((await encrypt()).status, 0);
    assert.deepEqual(filesIn(usersCache), files);
    for (const name of files) {
      assert.deepEqual(
        statSync(join(usersCache, name)).mtime,
        longAgo,
        `${name} was not made again`,
      );
    }
  });

  test('is made again if it is damaged', async () => {
    const installed = installWithoutCache();
    await assertWorks(installed);
    changeAll(installed.usersCache, (bytes) => bytes.subarray(0, 100));
    await assertWorks(installed);
    for (const name of filesIn(installed.usersCache)) {
      assert.ok(statSync(join(installed.usersCache, name)).size > 100, name);
    }
  });

  test("leaves nothing behind if it can't be put in its place", async () => {
    const { usersCache, encrypt } = installWithoutCache();
    await encrypt();
    const files = filesIn(usersCache);
    for (const name of files) {
      // Nothing can be renamed into its place.
      rmSync(join(usersCache, name));
      mkdirSync(join(usersCache, name, 'x'), { recursive: true });
    }
    assert.equal((await encrypt()).status, 0);
    assert.deepEqual(filesIn(usersCache), files);
  });

  const old = new Date(Date.now() - 31 * 24 * 60 * 60_000);

  test('loses what was not made again for a month, when something is added; but only its own', async () => {
    const { usersCache, encrypt } = installWithoutCache();
    const outdated = ['', '.1234'].map(
      (end) => `kms-encrypt-0123456789abcdef-kms-wrapping-key-v20.19.0-x64${end}`,
    );
    const others = ['local.key', 'kms-encrypt.log', `${outdated[0] ?? ''}.bak`];
    const folder = 'kms-encrypt-0123456789abcdef-start-v20.19.0-x64';
    mkdirSync(join(usersCache, folder), { recursive: true });
    chmodSync(usersCache, 0o700);
    for (const name of [...outdated, ...others]) writeFileSync(join(usersCache, name), 'x');
    for (const name of filesIn(usersCache)) utimesSync(join(usersCache, name), old, old);
    await encrypt();
    const left = filesIn(usersCache);
    assert.deepEqual(
      [...outdated, ...others, folder].filter((name) => left.includes(name)),
      [...others, folder],
    );
    assert.ok(left.length > others.length + 1, 'something was added');
  });

  test('leaves the local key alone if data and caches have one folder', async () => {
    const { home, builtCache } = install();
    rmSync(builtCache, { recursive: true });
    const env = { XDG_DATA_HOME: home, XDG_CACHE_HOME: home };
    const encrypt = (): Promise<Finished> =>
      run(join(home, 'dist', 'kms-encrypt.js'), ['-u', 'alice', '-k', 'local'], { home, env });
    assert.match((await encrypt()).stderr, /created a new local key/);
    rmSync(join(home, 'kms-poc', 'code-cache'), { recursive: true });
    const key = join(home, 'kms-poc', 'local.key');
    utimesSync(key, old, old);
    assert.equal((await encrypt()).status, 0);
    assert.notDeepEqual(filesIn(join(home, 'kms-poc', 'code-cache')), []);
    assert.ok(existsSync(key));
  });

  /**
   * Puts code into the cache that V8 accepts in place of what the bundle's main part is.
   *
   * @returns the file
   */
  function plant({ home, usersCache }: Installed): string {
    const [main = ''] = filesIn(usersCache).filter((name) => /encrypt-.*-start-/.test(name));
    const part = readFileSync(join(home, 'dist', 'parts', 'start.js'));
    const source = `(function () { process.stderr.write('planted'); process.exit(7) })()`;
    // The only thing that V8 knows of the source is its length.
    const program = `const { Script } = process.getBuiltinModule('node:vm');
      const script = new Script(${JSON.stringify(source.padEnd(part.length))});
      process.stdout.write(script.createCachedData());`;
    writeFileSync(join(home, 'program.js'), program);
    const { stdout } = spawnSync(process.execPath, [join(home, 'program.js')]);
    writeFileSync(join(usersCache, main), sealed(stdout, part), { mode: 0o600 });
    return join(usersCache, main);
  }

  test('would run code that somebody put there', async () => {
    const installed = installWithoutCache();
    await installed.encrypt();
    plant(installed);
    const { status, stderr } = await installed.encrypt();
    assert.deepEqual([status, stderr], [7, 'planted'], 'this shows that the next tests can fail');
  });

  const others: Record<string, (installed: Installed) => void> = {
    'others can write to it': ({ usersCache }) => {
      chmodSync(usersCache, 0o777);
    },
    'others can read it': ({ usersCache }) => {
      chmodSync(usersCache, 0o750);
    },
    'it is a link': ({ home, usersCache }) => {
      renameSync(usersCache, join(home, 'elsewhere'));
      symlinkSync(join(home, 'elsewhere'), usersCache);
    },
    ...(process.getuid?.() === 0 && {
      'it belongs to somebody else': ({ usersCache }) => {
        chownSync(usersCache, 65534, 65534);
      },
    }),
  };
  const otherFiles: Record<string, (installed: Installed, planted: string) => void> = {
    'others can write to it': (_, planted) => {
      chmodSync(planted, 0o660);
    },
    'it is a link': ({ home }, planted) => {
      renameSync(planted, join(home, 'elsewhere'));
      symlinkSync(join(home, 'elsewhere'), planted);
    },
    'it is a FIFO': (_, planted) => {
      rmSync(planted);
      execFileSync('mkfifo', ['-m', '600', planted]);
    },
    ...(process.getuid?.() === 0 && {
      'it belongs to somebody else': (_, planted) => {
        chownSync(planted, 65534, 65534);
      },
    }),
  };
  for (const [what, change] of Object.entries(otherFiles)) {
    test(`is made again if a file is not to be trusted: ${what}`, async () => {
      const installed = installWithoutCache();
      await installed.encrypt();
      const planted = plant(installed);
      change(installed, planted);
      await assertWorks(installed);
      const { mode, uid } = lstatSync(planted);
      assert.deepEqual([mode, uid], [0o100600, process.getuid?.()]);
    });
  }

  for (const [what, change] of Object.entries(others)) {
    test(`is not used, and nothing is put there, if ${what}`, async () => {
      const installed = installWithoutCache();
      await installed.encrypt();
      plant(installed);
      change(installed);
      const files = filesIn(installed.usersCache);
      await assertWorks(installed);
      assert.deepEqual(filesIn(installed.usersCache), files);
    });
  }

  test('is not made by a run that fails', async () => {
    const { usersCache, decrypt } = installWithoutCache();
    assert.equal((await decrypt(Buffer.from('not a message'))).status, 3);
    assert.deepEqual(filesIn(usersCache), []);
  });
});

test('a stack names functions and parts, from the cache too', async () => {
  const { stderr } = await run('kms-decrypt', ['-u', 'alice', '-k', 'local'], {
    stdin: 'no base64!',
    env: { DEBUG: 'kms-poc' },
  });
  assert.match(stderr, /^ {4}at (async )?decodeBase64 \(.*\/dist\/parts\/.*\.js:\d+:\d+\)$/m);
});
