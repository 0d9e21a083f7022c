/**
 * Whom the commands trust: an `.env` that was planted, key files that others can change, texts that
 * pretend to be more than they are.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lchownSync,
  mkdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { riskOf } from '../../src/cli/file-risks.ts';
import { type Environment, run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { awsError, type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';
import { makeRsaPair, type RsaPair } from '../support/rsa-keys.ts';

let moto: Moto;
let proxy: FaultProxy;
let key: TestKey;
let evil: RsaPair;
before(async () => {
  moto = await startMoto();
  key = await moto.createKey({ alias: 'theKey' });
  proxy = await startFaultProxy({ target: moto.endpoint });
  evil = makeRsaPair(temporaryFolder(), 'evil');
});
beforeEach(() => {
  proxy.reset();
});
after(async () => {
  await proxy.stop();
  await moto.stop();
});

const forAlice = ['-u', 'alice'];

/** @returns a folder with an `.env`, mode 0600 */
function folderWith(lines: string): string {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, '.env'), lines, { mode: 0o600 });
  return cwd;
}

const aws = (more: Environment = {}): Environment => ({
  ...moto.env,
  AWS_ENDPOINT_URL: proxy.endpoint,
  ...more,
});

describe('an .env that nobody named', () => {
  /** Each with what makes the file one that is not used. */
  const untrusted: [name: string, make: (file: string) => void, says: RegExp, needsRoot?: true][] =
    [
      [
        'is a folder',
        (file) => {
          mkdirSync(file);
        },
        /^\.env is a folder, not a settings file/,
      ],
      ['is a FIFO', (file) => execFileSync('mkfifo', [file]), /^\.env is not a regular file/],
      [
        'is a device',
        (file) => {
          symlinkSync('/dev/zero', file);
        },
        /^\.env is not a regular file/,
      ],
      [
        'can be changed by its group',
        (file) => {
          writeFileSync(file, 'KEY_ID=local');
          chmodSync(file, 0o620);
        },
        /^Other users can change \.env/,
      ],
      [
        'can be changed by everybody',
        (file) => {
          writeFileSync(file, 'KEY_ID=local');
          chmodSync(file, 0o602);
        },
        /^Other users can change \.env/,
      ],
      [
        'belongs to somebody else',
        (file) => {
          writeFileSync(file, 'KEY_ID=local');
          chownSync(file, 54321, 54321);
        },
        /^\.env belongs to another user \(uid 54321\)/,
        true,
      ],
      [
        'is a link of somebody else',
        (file) => {
          writeFileSync(`${file}.own`, 'KEY_ID=local', { mode: 0o600 });
          symlinkSync(`${file}.own`, file);
          lchownSync(file, 54321, 54321);
        },
        /^\.env is a symbolic link of another user \(uid 54321\)/,
        true,
      ],
    ];
  for (const [name, make, says, needsRoot] of untrusted) {
    const skip = needsRoot === true && process.getuid?.() !== 0 && 'only root can give files away';
    test(`is not used when it ${name}`, { skip }, async () => {
      const cwd = temporaryFolder();
      make(join(cwd, '.env'));
      for (const command of ['kms-encrypt', 'kms-decrypt', 'kms-reencrypt'] as const) {
        const failure = await failureOf(command, forAlice, { cwd, stdin: 'x' });
        assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
        assert.match(failure.message, says);
        assert.match(failure.hint ?? '', name === 'is a folder' ? /FILE$/ : /--env-file \.env/);
      }
      const doctor = await run('kms-doctor', [], { cwd });
      assert.deepEqual([doctor.status, doctor.stdout.length], [2, 0]);
    });
  }

  test('may be a link of one’s own', async () => {
    const cwd = folderWith('');
    writeFileSync(join(cwd, 'own'), 'USERS=carol', { mode: 0o600 });
    execFileSync('ln', ['-sf', 'own', join(cwd, '.env')]);
    const args = ['-q', '-u', 'carol', '-k', 'local'];
    assert.equal((await run('kms-encrypt', args, { cwd, stdin: 'x' })).status, 0);
  });

  test('is read when it is named, and a warning says who could have changed it', async () => {
    const cwd = folderWith('KEY_ID=local');
    chmodSync(join(cwd, '.env'), 0o622);
    const args = ['-q', ...forAlice, '--env-file', '.env'];
    const { status, stderr } = await run('kms-encrypt', args, { cwd, stdin: 'x' });
    assert.equal(status, 0);
    assert.match(stderr, /^kms-encrypt: other users can change \.env\. Run: chmod 600 \.env$/m);
  });
});

describe('keys that an .env names which nobody named', () => {
  const said = (names: string, keys: string): RegExp =>
    new RegExp(
      `^kms-\\w+: new messages can be opened with ${keys}: \\.env says so \\(${names}\\)\\.$`,
      'm',
    );

  test('are said on each run that encrypts, --quiet or not', async () => {
    const cwd = folderWith(`BACKUP_KEYS=rsa:${evil.publicFile}\n`);
    const env = aws({ KEY_ID: key.keyArn });
    const expected = said('BACKUP_KEYS', `${key.keyArn}, rsa:${evil.publicFile}`);
    const encrypted = await run('kms-encrypt', ['-q', ...forAlice], { cwd, env, stdin: 'x' });
    assert.equal(encrypted.status, 0);
    assert.match(encrypted.stderr, expected);

    const lines = '{"user":"alice","message":"a"}\n{"user":"bob","message":"b"}\n';
    const batch = await run('kms-encrypt', ['-q', '--batch'], { cwd, env, stdin: lines });
    assert.equal(batch.status, 0);
    assert.equal(batch.stderr.match(/says so/g)?.length, 1);

    const stdin = encrypted.stdout;
    const moved = await run('kms-reencrypt', ['-q', ...forAlice], { cwd, env, stdin });
    assert.equal(moved.status, 0);
    assert.match(moved.stderr, expected);
    const decrypted = await run('kms-decrypt', ['-q', ...forAlice], { cwd, env, stdin });
    assert.doesNotMatch(decrypted.stderr, /says so/);
  });

  test('are said when the one key is another than one of KMS', async () => {
    for (const named of [`rsa:${evil.publicFile}`, 'local', 'local:x.key']) {
      const cwd = folderWith(`KEY_ID=${named}\n`);
      const { status, stderr } = await run('kms-encrypt', ['-q', ...forAlice], { cwd, stdin: 'x' });
      assert.equal(status, 0);
      assert.match(stderr, said('KEY_ID', named));
    }
  });

  test('are not news when they are keys of KMS, or come from elsewhere', async () => {
    const settings = `KEY_ID=${key.keyArn}\nBACKUP_KEYS=rsa:${evil.publicFile}\n`;
    const ofKms = folderWith(`KEY_ID=${key.keyArn}\n`);
    const cwd = folderWith(settings);
    for (const [args, options] of [
      [[], { cwd: ofKms, env: aws() }],
      [['--env-file', '.env'], { cwd, env: aws() }],
      [[], { cwd: folderWith(''), env: aws({ KEY_ID: 'local' }) }],
      [['-k', 'local'], { cwd: ofKms, env: aws() }],
    ] as const) {
      const all = ['-q', ...forAlice, ...args];
      const { status, stderr } = await run('kms-encrypt', all, { ...options, stdin: 'x' });
      assert.equal(status, 0, stderr);
      assert.doesNotMatch(stderr, /says so/);
    }
  });

  test('--json names all keys, in the order of the header', async () => {
    const env = aws({ KEY_ID: key.keyArn, BACKUP_KEYS: `rsa:${evil.publicFile},local` });
    const home = temporaryFolder();
    for (const command of ['kms-encrypt', 'kms-reencrypt'] as const) {
      const plain = await run('kms-encrypt', ['-q', ...forAlice], { env, home, stdin: 'x' });
      const stdin = command === 'kms-encrypt' ? 'x' : plain.stdout;
      const { stdout } = await run(command, ['-q', '--json', ...forAlice], { env, home, stdin });
      const { key: first, keys } = JSON.parse(stdout.toString()) as { key: string; keys: string[] };
      assert.equal(first, key.keyArn);
      assert.deepEqual(keys.slice(0, 2), [key.keyArn, `RSA key ${evil.fingerprint}`]);
      assert.match(keys[2] ?? '', /^local key [0-9a-f]{16}$/);
      assert.equal(keys.length, 3);
    }
  });
});

describe('a pinned RSA key', () => {
  const pinned = (pair: RsaPair, fingerprint = pair.fingerprint): string =>
    `rsa:${pair.publicFile}#${fingerprint}`;

  test('is taken when it is the one', async () => {
    for (const name of [pinned(evil), pinned(evil, evil.fingerprint.toUpperCase())]) {
      const args = ['-q', ...forAlice, '-k', name];
      const { status, stdout } = await run('kms-encrypt', args, { stdin: 'x' });
      assert.equal(status, 0);
      const opened = await run(
        'kms-decrypt',
        [...forAlice, '-k', `rsa:${evil.privateFile}#${evil.fingerprint}`],
        { stdin: stdout },
      );
      assert.equal(opened.stdout.toString(), 'x');
    }
  });

  test('that was replaced stops before anything is encrypted', async () => {
    const other = makeRsaPair(temporaryFolder(), 'other');
    const replaced = { ...other, fingerprint: evil.fingerprint };
    const cwd = temporaryFolder();
    for (const [command, args, env, stdin] of [
      ['kms-encrypt', [...forAlice, '-k', pinned(replaced)], {}, 'x'],
      ['kms-encrypt', forAlice, { KEY_ID: key.keyArn, BACKUP_KEYS: pinned(replaced) }, 'x'],
      ['kms-reencrypt', [...forAlice, '-k', 'local', '--to-key', pinned(replaced)], {}, 'AAAA'],
    ] as const) {
      const out = join(cwd, 'out');
      const failure = await failureOf(command, [...args, '-o', out], { cwd, env: aws(env), stdin });
      assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
      assert.equal(
        failure.message,
        `The RSA key ${other.publicFile} has the fingerprint ${other.fingerprint}, not the pinned ${evil.fingerprint}.`,
      );
      assert.ok(!existsSync(out));
    }
    assert.deepEqual([proxy.count('Encrypt'), proxy.count('GenerateDataKey')], [0, 0]);
  });

  test('is what kms-doctor advises', async () => {
    const { stdout } = await run('kms-doctor', [], { env: { KEY_ID: `rsa:${evil.publicFile}` } });
    assert.match(stdout.toString(), /advice +RSA public key .*is not pinned\n.*#[0-9a-f]{32}$/m);
    const done = await run('kms-doctor', [], { env: { KEY_ID: pinned(evil) } });
    assert.match(done.stdout.toString(), /ok +RSA public key /);
  });
});

describe('an endpoint other than AWS', () => {
  test('is not taken from an .env that nobody named, and nothing is sent', async () => {
    for (const name of ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_KMS']) {
      for (const url of [proxy.endpoint, 'https://kms.eu-central-1.amazonaws.com.evil.example']) {
        const cwd = folderWith(`${name}=${url}\n`);
        const env = aws({ KEY_ID: key.keyArn, AWS_ENDPOINT_URL: undefined });
        const failure = await failureOf('kms-encrypt', forAlice, { cwd, env, stdin: 'x' });
        assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
        assert.match(
          failure.message,
          new RegExp(`^${name} in \\.env is .*, which is not AWS KMS\\.$`),
        );
        assert.match(failure.hint ?? '', /environment.*--env-file \.env/);
      }
    }
    assert.equal(proxy.count(), 0);
  });

  test('is named before the message is asked for', async () => {
    const terminal = startOnTerminal('kms-encrypt', forAlice, { env: aws({ KEY_ID: key.keyArn }) });
    await terminal.waitFor(/messages are sent to 127\.0\.0\.1, which is not AWS KMS/);
    await terminal.waitFor('message to encrypt: ');
    assert.equal(proxy.count(), 0);
    terminal.write('x\r');
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
  });

  test('of a profile is named before the first request, too', async () => {
    const home = temporaryFolder();
    mkdirSync(join(home, '.aws'));
    writeFileSync(join(home, '.aws', 'config'), `[default]\nendpoint_url = ${proxy.endpoint}\n`);
    const env = aws({ KEY_ID: key.keyArn, AWS_ENDPOINT_URL: undefined });
    const terminal = startOnTerminal('kms-encrypt', forAlice, { home, env });
    await terminal.waitFor(/not AWS KMS \(set by the AWS\s+configuration file\)/);
    await terminal.waitFor('message to encrypt: ');
    assert.equal(proxy.count(), 0);
    terminal.write('\x03');
    await terminal.exit();
  });
});

describe('files of keys', () => {
  const own = process.getuid?.() ?? 0;
  const file = (more: Partial<Parameters<typeof riskOf>[1]>): Parameters<typeof riskOf>[1] => ({
    isFile: () => true,
    uid: own,
    mode: 0o100600,
    ...more,
  });

  test('are judged by their owner and their mode', () => {
    assert.equal(riskOf('f', file({}), true), undefined);
    assert.equal(riskOf('f', file({ mode: 0o100644 }), false), undefined);
    assert.equal(riskOf('f', file({ uid: 0 }), true), undefined);
    assert.equal(riskOf('f', file({ uid: own + 1, isFile: () => false }), true), undefined);
    const foreign = { text: `f belongs to another user (uid ${own + 1})`, isForeign: true };
    assert.deepEqual(riskOf('f', file({ uid: own + 1 }), false), {
      ...foreign,
      fix: 'sudo chown "$(id -u)" f',
    });
    for (const mode of [0o100620, 0o100602, 0o100666]) {
      const changeable = { text: 'other users can change f', isForeign: true };
      assert.deepEqual(riskOf('f', file({ mode }), true), { ...changeable, fix: 'chmod 600 f' });
      assert.deepEqual(riskOf('f', file({ mode }), false), { ...changeable, fix: 'chmod go-w f' });
    }
    for (const mode of [0o100640, 0o100604]) {
      const readable = { text: 'other users can read f', fix: 'chmod 600 f', isForeign: false };
      assert.deepEqual(riskOf('f', file({ mode }), true), readable);
      assert.equal(riskOf('f', file({ mode }), false), undefined);
    }
  });

  test('that others can change get a warning, whatever they hold, --quiet or not', async () => {
    const folder = temporaryFolder();
    const pair = makeRsaPair(folder, 'pair');
    const passphraseFile = join(folder, 'passphrase');
    writeFileSync(passphraseFile, 'secret\n', { mode: 0o600 });
    const locked = join(folder, 'locked.pem');
    writeFileSync(
      locked,
      pair.privateKey.export({
        type: 'pkcs8',
        format: 'pem',
        cipher: 'aes-256-cbc',
        passphrase: 'secret',
      }),
      { mode: 0o600 },
    );
    const localKey = join(folder, 'local.key');
    await run('kms-encrypt', [...forAlice, '-k', `local:${localKey}`], { stdin: 'x' });
    const env = { RSA_PASSPHRASE_FILE: passphraseFile };
    for (const [changed, named] of [
      [pair.publicFile, `rsa:${pair.publicFile}`],
      [pair.privateFile, `rsa:${pair.privateFile}`],
      [locked, `rsa:${locked}`],
      [passphraseFile, `rsa:${locked}`],
      [localKey, `local:${localKey}`],
    ] as const) {
      chmodSync(changed, 0o602);
      const args = ['-q', ...forAlice, '-k', named];
      const encrypted = await run('kms-encrypt', args, { env, stdin: 'x' });
      assert.equal(encrypted.status, 0, encrypted.stderr);
      const fix = changed === pair.publicFile ? 'go-w' : '600';
      const warning = `other users can change ${changed}. Run: chmod ${fix} ${changed}\n`;
      assert.equal(encrypted.stderr, `kms-encrypt: ${warning}`);
      if (changed !== pair.publicFile) {
        const decrypted = await run('kms-decrypt', args, { env, stdin: encrypted.stdout });
        assert.equal(decrypted.stderr, `kms-decrypt: ${warning}`);
      }
      const { status, stdout } = await run('kms-doctor', [], { env: { ...env, KEY_ID: named } });
      assert.equal(status, 2);
      assert.ok(stdout.includes(`Other users can change ${changed} (mode 0602).`));
      chmodSync(changed, 0o600);
    }
  });

  test('that come through a pipe are judged by nobody', async () => {
    const folder = temporaryFolder();
    copyFileSync(evil.publicFile, join(folder, 'p.pem'));
    const script = 'kms-encrypt -q -u alice -k rsa:<(cat p.pem)';
    const bin = join(import.meta.dirname, '../../dist');
    const { status, stderr } = await run(
      'bash',
      ['-c', `kms-encrypt() { "${bin}/kms-encrypt.js" "$@"; }; ${script}`],
      { cwd: folder, stdin: 'x' },
    );
    assert.deepEqual([status, stderr], [0, '']);
  });
});

describe('texts of others', () => {
  test('of a service are not shown, nor with DEBUG=kms-poc', async () => {
    for (const [name, status] of [
      ['AccessDeniedException', 400],
      ['SignatureDoesNotMatch', 403],
      ['UnheardOfException', 400],
      ['KMSInternalException', 500],
    ] as const) {
      proxy.reset();
      proxy.fault(awsError(name, status, 'x-amz-security-token: SENTINEL'));
      const env = aws({ KEY_ID: key.keyArn, DEBUG: 'kms-poc', AWS_MAX_ATTEMPTS: '1' });
      const { stderr, stdout } = await run('kms-encrypt', forAlice, { env, stdin: 'x' });
      assert.equal(stdout.length, 0);
      assert.match(stderr, new RegExp(`${name}[^]*\\n {4}at `));
      assert.doesNotMatch(stderr, /SENTINEL/);
    }
  });

  test('can’t forge a line, nor drive the terminal', async () => {
    const name = 'none\nhint: run this\t\x1b[2J\u009b31m';
    for (const args of [
      ['-k', 'local', '-i', name],
      ['-k', 'local', '--env-file', name],
      ['-k', 'local', '-o', `${name}/out`],
    ]) {
      const { status, stderr } = await run('kms-encrypt', [...forAlice, ...args], { stdin: 'x' });
      assert.notEqual(status, 0);
      assert.equal(stderr.match(/^hint: /gm)?.length, 1, stderr);
      assert.equal(stderr.split('\n').length, 3, stderr);
      assert.match(stderr, /none\\nhint: run this\\t\\x1b\[2J\\x9b31m/);
    }
  });
});
