/**
 * Settings, keys, passphrases and batches as people's editors and shells write them, and names of
 * files as people give them. What is not understood is refused by name, never ignored.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import {
  commandLine,
  type Finished,
  run,
  surroundings,
  temporaryFolder,
} from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { makeRsaPair, type RsaPair, writePrivate } from '../support/rsa-keys.ts';

/** How editors on Windows, and PowerShell, write the same text. */
const encodings: readonly (readonly [string, (text: string) => Buffer])[] = [
  ['as it is', (text) => Buffer.from(text)],
  ['with CRLF', (text) => Buffer.from(text.replaceAll('\n', '\r\n'))],
  ['with a byte order mark', (text) => Buffer.from(`\ufeff${text}`)],
  ['in UTF-16', (text) => Buffer.from(`\ufeff${text}`, 'utf16le')],
  ['in UTF-16, CRLF', (text) => Buffer.from(`\ufeff${text.replaceAll('\n', '\r\n')}`, 'utf16le')],
  ['in UTF-16, big-endian', (text) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
  ['with blanks at the ends', (text) => Buffer.from(text.replaceAll('\n', ' \t\n'))],
];

const forAlice = ['-q', '-u', 'alice'];

let cwd: string;
let pair: RsaPair;
before(async () => {
  cwd = temporaryFolder();
  pair = makeRsaPair(cwd, 'pair');
  const made = await run('kms-encrypt', [...forAlice, '-k', 'local:key'], { cwd, stdin: 'x' });
  assert.equal(made.status, 0, made.stderr);
});

/** A shell with process substitution, where commands have their usual names. */
const bash = (script: string): Promise<Finished> => {
  const names = ['kms-encrypt', 'kms-decrypt', 'kms-reencrypt', 'kms-doctor'];
  const functions = names.map((name) => `${name}() { ${commandLine(name, []).file} "$@"; }`);
  return run('bash', ['-c', `${functions.join('; ')}; ${script}`], { cwd });
};

/** Encrypts with one set of arguments and decrypts with another. */
async function roundTrip(
  toEncrypt: string[],
  toDecrypt: string[],
  env: Record<string, string> = {},
): Promise<void> {
  const encrypted = await run('kms-encrypt', toEncrypt, { cwd, stdin: 'secret' });
  assert.deepEqual([encrypted.status, encrypted.stderr], [0, '']);
  const options = { cwd, env, stdin: encrypted.stdout };
  const { status, stdout, stderr } = await run('kms-decrypt', toDecrypt, options);
  assert.deepEqual([status, stdout.toString(), stderr], [0, 'secret', '']);
}

describe('a settings file', () => {
  for (const [name, encode] of encodings) {
    test(name, async () => {
      const file = join(temporaryFolder(), 'settings');
      writeFileSync(file, encode('# für alle\nUSERS=carol\nKEY_ID=local:key\n'), { mode: 0o600 });
      const args = ['-q', '-u', 'carol', '--env-file', file];
      await roundTrip(args, args);
    });
  }

  test('in anything else is refused, by its name', async () => {
    for (const bytes of [
      Buffer.from('KEY_ID=local:k\xe9y\n', 'latin1'),
      Buffer.from('KEY_ID=local:key\n', 'utf16le'),
      Buffer.from([0xff, 0xfe, 0x4b]),
    ]) {
      const file = join(temporaryFolder(), 'settings');
      writeFileSync(file, bytes, { mode: 0o600 });
      const failure = await failureOf('kms-encrypt', ['-u', 'alice', '--env-file', file], { cwd });
      assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
      assert.match(failure.message, /settings is not text in UTF-8 or UTF-16/);
    }
  });

  test('where a # would silently cut off the end of a value is refused', async () => {
    const pinned = `rsa:${pair.publicFile}#${'0'.repeat(32)}`;
    const file = join(temporaryFolder(), 'settings');
    const args = ['-u', 'alice', '--env-file', file];
    const settings = (text: string): void => {
      writeFileSync(file, text, { mode: 0o600 });
    };
    const cut = [
      ...[`KEY_ID=${pinned}`, `export KEY_ID = ${pinned}`, 'KEY_ID=local:a#b # c'],
      ...[`KEY_ID: ${pinned}`, `KEY_ID="${pinned.replace('#', '"#')}`, `SIGN=no\rKEY_ID=${pinned}`],
    ];
    for (const line of cut) {
      settings(`USERS=alice # and nobody else\n${line}\n`);
      const failure = await failureOf('kms-encrypt', args, { cwd });
      assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
      assert.match(failure.message, /KEY_ID in .*settings has a # in it/);
    }
    settings(`KEY_ID="${pinned}"\n`);
    const failure = await failureOf('kms-encrypt', args, { cwd });
    assert.match(failure.message, /not the pinned 0{32}/);
    for (const fine of ['KEY_ID=local:key # mine', 'KEY_ID=local:key\t#mine', 'OTHER=a#b']) {
      settings(`${fine}\n`);
      const { status, stderr } = await run('kms-encrypt', [...args, '-k', 'local:key'], { cwd });
      assert.deepEqual([status, stderr], [0, '']);
    }
  });

  const signLine = (line: string) => ['SIGN', line] as const;

  test('is refused if a line names a setting but does not set it', async () => {
    const file = join(temporaryFolder(), 'settings');
    const args = ['-u', 'alice', '--env-file', file];
    const lines = [
      ...([
        ['KEY_ID', 'set KEY_ID=local:key'],
        ['USERS', '  USERS'],
      ] as const),
      ...['SIGN yes', 'USERS=alice\rSIGN yes\r'].map(signLine),
      ...['- SIGN=yes', '* SIGN=yes', '$env:SIGN="yes"', '"SIGN"=yes'].map(signLine),
      ...['\u200bSIGN=yes', 'SIGN\uff1dyes', '-SIGN=yes', '.SIGN=yes'].map(signLine),
    ];
    for (const [name, line] of lines) {
      writeFileSync(file, `BACKUP_KEYS = local:key\n# SIGN no\n${line}\n`, { mode: 0o600 });
      const { status, code, message, hint } = await failureOf('kms-encrypt', args, { cwd });
      assert.deepEqual([status, code], [2, 'Usage']);
      assert.ok(message.endsWith(`settings has a line that names ${name} but doesn't set it.`));
      assert.ok(hint?.startsWith(`Write ${name}=VALUE, `), hint);
    }
    const fine =
      'USERS: alice\necho "for $USERS"\n: ${AWS_REGION:=eu-central-1}\n-OTHER=yes\nOTHER yes # SIGN\nKEY_IDS of us\nSIGN=\nNOTE="to\nSIGN or not"\n';
    writeFileSync(file, fine, { mode: 0o600 });
    const { status, stderr } = await run('kms-encrypt', [...args, '-k', 'local:key'], { cwd });
    assert.deepEqual([status, stderr], [0, '']);
  });
});

describe('a settings file that is a pipe', () => {
  test('is read to its end', async () => {
    const script = `kms-encrypt -q -u alice --env-file <(echo KEY_ID=local:key) < key`;
    const { status, stderr } = await bash(script);
    assert.deepEqual([status, stderr], [0, '']);
  });

  test('that nobody writes to does not keep a signal waiting', async () => {
    const folder = temporaryFolder();
    const fifo = join(folder, 'fifo');
    await run('mkfifo', [fifo], {});
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const { file, args } = commandLine('kms-encrypt', ['-u', 'alice', '--env-file', fifo]);
      const child = spawn(file, args, { ...surroundings({}), stdio: 'ignore' });
      // Opened only once the command has opened it too: from then on it waits.
      const writer = await open(fifo, 'w');
      const ended = once(child, 'exit');
      child.kill(signal);
      assert.deepEqual(await ended, [null, signal]);
      await writer.close();
    }
  });
});

describe('a local key', () => {
  for (const [name, encode] of encodings) {
    test(name, async () => {
      const file = join(temporaryFolder(), 'key');
      writeFileSync(file, encode(readFileSync(join(cwd, 'key'), 'utf8')), { mode: 0o600 });
      await roundTrip([...forAlice, '-k', 'local:key'], [...forAlice, '-k', `local:${file}`]);
    });
  }
});

describe('an RSA key and its passphrase', () => {
  const passphrase = 'pässphrase';
  for (const [name, encode] of encodings) {
    test(name, async () => {
      const folder = temporaryFolder();
      const pem = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase } as const;
      const [publicFile, privateFile] = [join(folder, 'public.pem'), join(folder, 'private.pem')];
      const spki = pair.publicKey.export({ type: 'spki', format: 'pem' });
      writeFileSync(publicFile, encode(spki.toString()));
      writePrivate(privateFile, encode(pair.privateKey.export(pem).toString()));
      const passphraseFile = join(folder, 'passphrase');
      const isTrimmed = name !== 'with blanks at the ends';
      writePrivate(passphraseFile, isTrimmed ? encode(`${passphrase}\n`) : passphrase);
      await roundTrip(
        [...forAlice, '-k', `rsa:${publicFile}`],
        [...forAlice, '-k', `rsa:${privateFile}`],
        { RSA_PASSPHRASE_FILE: passphraseFile },
      );
    });
  }

  test('a blank at the end of a passphrase is part of it, and pointed out if it is wrong', async () => {
    const folder = temporaryFolder();
    const privateFile = join(folder, 'private.pem');
    const pem = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc' } as const;
    const passphraseFile = join(folder, 'passphrase');
    writePrivate(passphraseFile, 'with a blank \n');
    const publicKey = ['-k', `rsa:${pair.publicFile}`];
    const env = { RSA_PASSPHRASE_FILE: passphraseFile };
    const toDecrypt = [...forAlice, '-k', `rsa:${privateFile}`];
    writePrivate(privateFile, pair.privateKey.export({ ...pem, passphrase: 'with a blank ' }));
    await roundTrip([...forAlice, ...publicKey], toDecrypt, env);
    writePrivate(privateFile, pair.privateKey.export({ ...pem, passphrase: 'with a blank' }));
    const { stdout } = await run('kms-encrypt', [...forAlice, ...publicKey], { cwd, stdin: 'x' });
    const failure = await failureOf('kms-decrypt', toDecrypt, { cwd, env, stdin: stdout });
    assert.deepEqual([failure.status, failure.code], [4, 'KeyUnusable']);
    assert.match(failure.hint ?? '', /ends in a blank/);
  });
});

describe('a batch', () => {
  const lines = '{"user":"alice","message":"ä"}\n{"user":"bob","message":"b"}\n';
  for (const [name, encode] of encodings) {
    const isUtf16 = name.startsWith('in UTF-16');
    test(`${name}: ${isUtf16 ? 'refused' : 'read'}`, async () => {
      const args = ['--batch', '-q', '-k', 'local:key'];
      const stdin = encode(lines);
      const { status, stdout, stderr } = await run('kms-encrypt', args, { cwd, stdin });
      if (isUtf16) {
        assert.deepEqual([status, stdout.length], [2, 0]);
        assert.match(stderr, /^kms-encrypt: This batch is text in UTF-16, not in UTF-8\.\nhint: /);
        return;
      }
      assert.deepEqual([status, stderr], [0, '']);
      const back = await run('kms-decrypt', args, { cwd, stdin: stdout });
      const messages = back.stdout
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
      assert.deepEqual(messages, [
        { user: 'alice', message: 'ä' },
        { user: 'bob', message: 'b' },
      ]);
    });
  }
});

describe('the name of a file', () => {
  test('can begin with the home folder, in every option and setting', async () => {
    const home = temporaryFolder();
    mkdirSync(join(home, 'a'));
    const settings = 'KEY_ID=local:~/a/key\nDECRYPT_KEYS="local:~/a/old, rsa:~/a/key.pem"\n';
    writePrivate(join(home, 'a/settings'), `${settings}RSA_PASSPHRASE_FILE=~/a/passphrase\n`);
    const pem = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
    writePrivate(join(home, 'a/key.pem'), pair.privateKey.export(pem));
    writePrivate(join(home, 'a/passphrase'), 'x\n');
    writeFileSync(join(home, 'a/in'), 'secret');
    const options = { cwd, home };
    const common = [...forAlice, '--env-file', '~/a/settings'];
    const ways = [[], ['-k', 'rsa:~/a/key.pem']];
    for (const way of ways) {
      const files = ['-i', '~/a/in', '-o', '~/a/out'];
      const encrypted = await run('kms-encrypt', [...common, ...files, ...way], options);
      assert.equal(encrypted.status, 0, encrypted.stderr);
      const { stdout, stderr } = await run('kms-decrypt', [...common, '-i', '~/a/out'], options);
      assert.equal(stdout.toString(), 'secret', stderr);
    }
    assert.ok(existsSync(join(home, 'a/key')));
    assert.ok(!existsSync(join(cwd, '~')));
  });

  test('that only a mistake can have makes no key', async () => {
    const folder = temporaryFolder();
    const env = join(folder, '.env');
    for (const name of ['$HOME/key', '${HOME}/key', "'key'", 'key\u0007', '~', '~root/key']) {
      writePrivate(env, `KEY_ID="local:${name}"\n`);
      const failure = await failureOf('kms-encrypt', ['-u', 'alice'], { cwd: folder, stdin: 'x' });
      assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
      assert.match(failure.message, /^KEY_ID in \.env has /);
    }
    const { stderr } = await run('ls', ['-A'], { cwd: folder });
    assert.equal(stderr, '');
    assert.deepEqual((await run('ls', ['-A'], { cwd: folder })).stdout.toString(), '.env\n');
  });
});

/** Node can't tell such names apart, and would write to a file with another name. */
describe('a name that is not UTF-8', () => {
  const encrypt = 'kms-encrypt -q -u alice -k';

  for (const [where, prepare, name, folderOfRun = '.'] of [
    ['of the file that --out links to', `echo old > $'\\xe9'; ln -s $'\\xe9' link`, 'link'],
    ['of the folder of that file', `mkdir $'\\xe9'; ln -s $'\\xe9'/new link`, 'link'],
    ['of a folder on the way', `mkdir $'\\xe9'; ln -s $'\\xe9' link`, 'link/new'],
    ['of the current folder', `mkdir $'\\xe9' $'\\xef\\xbf\\xbd'`, 'new', `$'\\xe9'`],
  ] as const) {
    test(`${where}: nothing is written`, async () => {
      const { status, stdout, stderr } = await bash(
        `key=$PWD/key; cd '${temporaryFolder()}'; ${prepare}; list() { (ls -bR; cat -- *); } 2>&1
         before=$(list)
         (cd ${folderOfRun}; echo secret | ${encrypt} "local:$key" -o ${name}); status=$?
         [ "$(list)" = "$before" ] && exit $status`,
      );
      assert.deepEqual([status, stdout.toString()], [2, '']);
      assert.match(stderr, /is in a folder, or links to a file, whose name is not valid UTF-8\.$/m);
    });
  }

  test('but a folder that is really called U+FFFD is written to', async () => {
    const folder = temporaryFolder();
    const { status, stderr } = await bash(
      `key=$PWD/key; mkdir '${folder}'/$'\\xef\\xbf\\xbd'; cd '${folder}'/*
       echo secret | ${encrypt} "local:$key" -o new && ls | grep -qx new`,
    );
    assert.deepEqual([status, stderr], [0, '']);
  });

  test('of the home folder of a key: that folder is named', async () => {
    const folder = temporaryFolder();
    const { status, stderr } = await bash(
      `cd '${folder}'; echo secret | HOME="$PWD/"$'\\xe9' ${encrypt} 'local:~/key'`,
    );
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^kms-encrypt: --key is in the home folder \(~\/\), whose name is not valid/,
    );
    assert.deepEqual((await run('ls', ['-A'], { cwd: folder })).stdout.toString(), '');
  });

  for (const variables of ['XDG_DATA_HOME= HOME', 'XDG_DATA_HOME']) {
    test(`of the folder of the local key, by ${variables}: none is made`, async () => {
      const folder = temporaryFolder();
      const { status, stderr } = await bash(
        `cd '${folder}'; echo secret | ${variables}="$PWD/"$'\\xe9' ${encrypt} local`,
      );
      assert.equal(status, 2);
      assert.match(
        stderr,
        /^kms-encrypt: The folder of the local key has a name that is not valid/,
      );
      assert.deepEqual((await run('ls', ['-A'], { cwd: folder })).stdout.toString(), '');
    });
  }
});

describe('a key from a pipe, which can be read only once', () => {
  test('serves a whole run of every command', async () => {
    const { stdout } = await run('kms-encrypt', [...forAlice, '-k', 'local:key', '-o', 'e'], {
      cwd,
    });
    assert.equal(stdout.length, 0);
    for (const script of [
      `kms-decrypt -u alice -k local:<(cat key) -i e`,
      `KEY_ID=local:<(cat key) BACKUP_KEYS= kms-reencrypt -q -u alice -i e -o e`,
      `KEY_ID=local:<(cat key) kms-doctor -q`,
      `BACKUP_KEYS=rsa:<(cat pair-public.pem) kms-doctor -q -k local:<(cat key)`,
    ]) {
      const { status, stdout: out, stderr } = await bash(script);
      assert.equal(status, 0, `${script}: ${stderr}${out.toString()}`);
    }
  });
});
