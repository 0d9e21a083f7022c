/** kms-reencrypt: from one key to another, within KMS or through this machine, and in place. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  readdirSync,
  chmodSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { UpdateAliasCommand } from '@aws-sdk/client-kms';
import {
  commandLine,
  type Environment,
  type Finished,
  run,
  surroundings,
  temporaryFolder,
} from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { awsError, type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';
import { makeRsaPair, writePrivate } from '../support/rsa-keys.ts';
import { repetitions } from '../support/repetitions.ts';

const secret = 'this is a secret 😀';
const elsewhere = 'us-west-2';

let moto: Moto;
let proxy: FaultProxy;
let oldKey: TestKey;
let newKey: TestKey;
let otherRegionKey: TestKey;
/** Through the proxy, with the pairs of the two users and with the caller's own credentials. */
let env: Environment;
let home: string;
before(async () => {
  moto = await startMoto();
  [oldKey, newKey, otherRegionKey] = await Promise.all([
    moto.createKey({ alias: 'old' }),
    moto.createKey({ alias: 'new' }),
    moto.createKey({ alias: 'new', region: elsewhere }),
  ]);
  proxy = await startFaultProxy({ target: moto.endpoint });
  home = temporaryFolder();
  env = {
    ...moto.env,
    AWS_ENDPOINT_URL: proxy.endpoint,
    AWS_MAX_ATTEMPTS: '1',
    AWS_ACCESS_KEY_ID: 'MOVER',
    ENCRYPTOR_AWS_ACCESS_KEY_ID: 'ENCRYPTOR',
    ENCRYPTOR_AWS_SECRET_ACCESS_KEY: 'x',
    DECRYPTOR_AWS_ACCESS_KEY_ID: 'DECRYPTOR',
    DECRYPTOR_AWS_SECRET_ACCESS_KEY: 'x',
    KEY_ID: oldKey.keyArn,
  };
});
beforeEach(() => {
  proxy.reset();
});
after(async () => {
  await proxy.stop();
  await moto.stop();
});

type Options = NonNullable<Parameters<typeof run>[2]>;

const inHome = (more: Environment = {}): Options => ({ home, env: { ...env, ...more } });

async function encrypted(
  plaintext: string | Uint8Array,
  args: string[] = [],
  more: Environment = {},
): Promise<Buffer> {
  const done = await run('kms-encrypt', ['-q', '-u', 'alice', ...args], {
    ...inHome(more),
    stdin: plaintext,
  });
  assert.equal(done.status, 0, done.stderr);
  proxy.reset();
  return done.stdout;
}

const reencrypt = (
  args: string[],
  stdin: string | Uint8Array = '',
  more: Environment = {},
): Promise<Finished> =>
  run('kms-reencrypt', ['-q', '-u', 'alice', ...args], { ...inHome(more), stdin });

/** What alice gets from the message, with one key and no other. */
async function opened(
  ciphertext: string | Uint8Array,
  keyId: string,
  more: Environment = {},
): Promise<string> {
  const options = inHome({ KEY_ID: keyId, ...more });
  const done = await run('kms-decrypt', ['-q', '-u', 'alice'], { ...options, stdin: ciphertext });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout.toString();
}

/** Who asked for what, in order. */
const calls = (): string[] =>
  proxy.requests.map(({ accessKeyId, operation }) => `${accessKeyId} ${operation}`);

const assertQuiet = ({ status, stderr }: Finished): void => {
  const notices = stderr.split('\n').filter((line) => !/which is not AWS KMS|^$/.test(line));
  assert.deepEqual([status, notices], [0, []]);
};

describe('a KMS blob to a key in the same Region', () => {
  test('is moved within KMS, with the caller’s own credentials', async () => {
    const done = await reencrypt(['--to-key', 'alias/new'], await encrypted(secret));
    assertQuiet(done);
    assert.equal(done.stderr.match(/which is not AWS KMS/g)?.length, 1);
    assert.deepEqual(calls(), ['MOVER ReEncrypt']);
    const { body } = proxy.requests[0] ?? {};
    assert.deepEqual(
      [body?.SourceEncryptionContext, body?.DestinationEncryptionContext],
      [{ user: 'alice' }, { user: 'alice' }],
    );
    assert.match(done.stdout.toString(), /^[A-Za-z0-9+/]+=*\n$/);
    assert.equal(await opened(done.stdout, newKey.keyArn), secret);
    const byOldKey = await failureOf('kms-decrypt', ['-u', 'alice'], {
      ...inHome(),
      stdin: done.stdout,
    });
    assert.equal(byOldKey.status, 4); // moto's AccessDenied instead of IncorrectKey
  });

  test('goes to KEY_ID by default, from a key that --key names', async () => {
    const message = await encrypted(secret);
    const done = await reencrypt(['--key', 'alias/old', '--json'], message, {
      KEY_ID: newKey.keyArn,
    });
    assertQuiet(done);
    const { ciphertext, ...rest } = JSON.parse(done.stdout.toString()) as { ciphertext: string };
    const { keyArn } = newKey;
    assert.deepEqual(rest, { user: 'alice', key: keyArn, keys: [keyArn], format: 'kms' });
    assert.equal(await opened(ciphertext, newKey.keyArn), secret);
  });

  test('is renewed under the newest material of the same key', async () => {
    const message = await encrypted(secret);
    const done = await reencrypt([], message);
    assertQuiet(done);
    assert.deepEqual(calls(), ['MOVER ReEncrypt']);
    assert.notDeepEqual(done.stdout, message);
    assert.equal(await opened(done.stdout, oldKey.keyArn), secret);
  });

  test('is found under an old key, in order, with the new one last: a second run does no harm', async () => {
    const keys = { KEY_ID: newKey.keyArn, DECRYPT_KEYS: 'alias/old' };
    const first = await reencrypt([], await encrypted(secret), keys);
    assertQuiet(first);
    assert.deepEqual(calls(), ['MOVER ReEncrypt', 'MOVER ReEncrypt']);
    proxy.reset();
    const again = await reencrypt(['--key', 'alias/old', '--to-key', 'alias/new'], first.stdout);
    assertQuiet(again);
    assert.equal(await opened(again.stdout, newKey.keyArn), secret);
  });

  test('is opened by the alias’s previous key, which the alias no longer names', async () => {
    const [first, second] = await Promise.all([
      moto.createKey({ alias: 'moved' }),
      moto.createKey(),
    ]);
    const message = await encrypted(secret, ['-k', 'alias/moved']);
    await moto
      .kms()
      .send(new UpdateAliasCommand({ AliasName: 'alias/moved', TargetKeyId: second.keyId }));
    const keys = { KEY_ID: 'alias/moved', DECRYPT_KEYS: first.keyArn };
    const done = await reencrypt([], message, keys);
    assertQuiet(done);
    assert.equal(await opened(done.stdout, second.keyArn), secret);
  });

  test('stays another user’s message', async () => {
    const message = await encrypted(secret);
    const failure = await failureOf('kms-reencrypt', ['-u', 'bob', '--to-key', 'alias/new'], {
      ...inHome(),
      stdin: message,
    });
    assert.deepEqual([failure.status, failure.code], [3, 'CannotDecrypt']);
    assert.match(failure.message, /for bob \(InvalidCiphertextException\)\.$/);
  });

  const refused: [string, string, number, number, RegExp][] = [
    ['DisabledException', 'KeyUnusable', 400, 4, /^The key \S+old or \S+new is disabled \(/],
    [
      'AccessDeniedException',
      'AccessDenied',
      400,
      4,
      /not allowed to re-encrypt from \S+ to \S+ for ali/,
    ],
    ['NotFoundException', 'KeyNotFound', 400, 4, /^There is no key \S+old or \S+new in eu-cent/],
    ['KMSInvalidStateException', 'KeyUnusable', 400, 4, /can't be used/],
    ['ThrottlingException', 'Throttled', 400, 5, /is throttling requests/],
    ['KMSInternalException', 'Unavailable', 500, 5, /failed \(KMSInternalException\)/],
  ];
  for (const [name, code, httpStatus, status, says] of refused) {
    test(`fails with ${name}, and gives nothing`, async () => {
      const message = await encrypted(secret);
      proxy.fault(awsError(name, httpStatus), { operation: 'ReEncrypt' });
      const failure = await failureOf(
        'kms-reencrypt',
        ['-u', 'alice', '--key', 'alias/old', '--to-key', 'alias/new'],
        { ...inHome(), stdin: message },
      );
      assert.deepEqual([failure.status, failure.code], [status, code]);
      assert.match(failure.message, says);
      assert.equal(proxy.count('Decrypt'), 0, 'it is not opened instead');
    });
  }

  test('says that the pairs in the settings file do not move messages', async () => {
    const message = await encrypted(secret);
    const failure = await failureOf('kms-reencrypt', ['-u', 'alice', '--to-key', 'alias/new'], {
      ...inHome({ AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined }),
      stdin: message,
    });
    assert.deepEqual([failure.status, failure.code], [4, 'Credentials']);
    assert.match(failure.hint ?? '', /not the pairs in the settings file: sign in/);
    assert.deepEqual(calls(), []);
  });
});

test('that the new local key is not there yet is no error; the key it opens with is named', async () => {
  const file = (name: string): string => `local:${join(home, name)}`;
  const message = await encrypted(secret, ['-k', file('first.key')]);
  await encrypted(secret, ['-k', file('other.key')]); // makes it
  const move = (key: string) => ['-u', 'alice', '-k', file(key), '--to-key', file('new.key')];
  const failure = await failureOf('kms-reencrypt', move('other.key'), {
    ...inHome(),
    stdin: message,
  });
  assert.deepEqual([failure.status, failure.code], [3, 'WrongKey']);
  assert.match(failure.message, /not with the local key .*other\.key /);
  assert.ok(!existsSync(join(home, 'new.key')));
  const done = await run('kms-reencrypt', move('first.key'), { ...inHome(), stdin: message });
  assert.equal(done.status, 0, done.stderr);
  assert.equal(await opened(done.stdout, file('new.key')), secret);
});

describe('anything else is decrypted and re-encrypted', () => {
  const viaThisMachine = (from: string[], to: string[]): string[] => [
    ...from.map((operation) => `DECRYPTOR ${operation}`),
    ...to.map((operation) => `ENCRYPTOR ${operation}`),
  ];

  test('a KMS blob to another Region', async () => {
    const done = await reencrypt(['--to-key', otherRegionKey.keyArn], await encrypted(secret));
    assertQuiet(done);
    assert.deepEqual(calls(), viaThisMachine(['Decrypt'], ['Encrypt']));
    assert.equal(await opened(done.stdout, otherRegionKey.keyArn), secret);
  });

  test('a KMS blob that gets backup keys', async () => {
    const { publicFile, privateFile } = makeRsaPair(temporaryFolder(), 'backup');
    const backup = { BACKUP_KEYS: `rsa:${publicFile}` };
    const done = await reencrypt([], await encrypted(secret), backup);
    assertQuiet(done);
    assert.deepEqual(calls(), viaThisMachine(['Decrypt'], ['GenerateDataKey']));
    assert.equal(await opened(done.stdout, oldKey.keyArn), secret);
    assert.equal(await opened(done.stdout, `rsa:${privateFile}`), secret);
  });

  test('a KMS blob to a local key and back', async () => {
    const toLocal = await reencrypt(['--to-key', 'local'], await encrypted(secret));
    assert.equal(toLocal.status, 0);
    assert.deepEqual(calls(), ['DECRYPTOR Decrypt']);
    assert.equal(await opened(toLocal.stdout, 'local'), secret);
    proxy.reset();
    const back = await reencrypt(['-k', 'local', '--to-key', 'alias/new'], toLocal.stdout);
    assertQuiet(back);
    assert.deepEqual(calls(), ['ENCRYPTOR Encrypt']);
    assert.equal(await opened(back.stdout, newKey.keyArn), secret);
  });

  test('an Encryption SDK message, in a stream', async () => {
    const large = randomBytes(3 * 2 ** 20 + 17);
    const message = await encrypted(large, ['--binary']);
    const done = await reencrypt(['--to-key', newKey.keyArn], message);
    assertQuiet(done);
    assert.deepEqual(calls(), viaThisMachine(['Decrypt'], ['GenerateDataKey']));
    const back = await run('kms-decrypt', ['-q', '-u', 'alice'], {
      ...inHome({ KEY_ID: newKey.keyArn }),
      stdin: done.stdout,
    });
    assert.ok(back.stdout.equals(large));
  });

  test('only for the right user, before any call and without a new local key', async () => {
    const message = await encrypted(secret, ['-k', 'local']);
    const file = join(temporaryFolder(), 'new.key');
    const failure = await failureOf(
      'kms-reencrypt',
      ['-u', 'bob', '-k', 'local', '--to-key', `local:${file}`],
      { ...inHome(), stdin: message },
    );
    assert.deepEqual([failure.status, failure.code], [3, 'WrongUser']);
    assert.equal(existsSync(file), false);
  });

  test('bytes stay bytes and base64 stays base64, unless --binary', async () => {
    const asBytes = await encrypted(secret, ['--binary', '-k', 'local']);
    const asBase64 = await encrypted(secret, ['-k', 'local']);
    const toLocal = ['-k', 'local', '--to-key', 'local'];
    const first = async (args: string[], stdin: Buffer): Promise<string> => {
      const done = await reencrypt([...toLocal, ...args], stdin);
      assertQuiet(done);
      return done.stdout.subarray(0, 3).toString('latin1');
    };
    assert.equal(await first([], asBytes), '\x02\x04\x78');
    assert.equal(await first([], asBase64), 'AgR');
    assert.equal(await first(['--binary'], asBase64), '\x02\x04\x78');
  });
});

describe('in place', () => {
  function fileWith(ciphertext: Buffer): string {
    const file = join(temporaryFolder(), 'message');
    writeFileSync(file, ciphertext, { mode: 0o644 });
    return file;
  }
  const onlyFile = (file: string): void => {
    assert.deepEqual(readdirSync(join(file, '..')), ['message']);
  };

  test('a blob is replaced once KMS has opened the new one', async () => {
    const file = fileWith(await encrypted(secret));
    chmodSync(file, 0o640);
    assertQuiet(await reencrypt(['--to-key', 'alias/new', '-i', file, '-o', file]));
    assert.deepEqual(calls(), ['MOVER ReEncrypt', 'MOVER ReEncrypt']);
    const [move, proof] = proxy.requests.map(({ body }) => body);
    assert.deepEqual([move?.SourceKeyId, proof?.SourceKeyId], [oldKey.keyArn, 'alias/new']);
    assert.equal(`${String(proof?.CiphertextBlob)}\n`, readFileSync(file, 'utf8'));
    assert.equal(await opened(readFileSync(file), newKey.keyArn), secret);
    assert.equal(statSync(file).mode & 0o777, 0o640, 'whoever could read it still can');
    onlyFile(file);
  });

  test('a large file is replaced once it was opened, and a symlink to it stays one', async () => {
    const large = randomBytes(2 * 2 ** 20 + 1);
    const file = fileWith(await encrypted(large, ['--binary']));
    const link = join(temporaryFolder(), 'link');
    symlinkSync(file, link);
    assertQuiet(await reencrypt(['--to-key', newKey.keyArn, '-i', link, '-o', file]));
    assert.deepEqual(calls(), [
      'DECRYPTOR Decrypt',
      'ENCRYPTOR GenerateDataKey',
      'DECRYPTOR Decrypt',
    ]);
    const back = await run('kms-decrypt', ['-q', '-u', 'alice', '-i', link], {
      ...inHome({ KEY_ID: newKey.keyArn }),
    });
    assert.ok(back.stdout.equals(large));
    onlyFile(file);
  });

  test('a ciphertext that can’t be proved to open leaves the file as it was', async () => {
    const { publicFile } = makeRsaPair(temporaryFolder(), 'offline');
    const denied = awsError('AccessDeniedException');
    for (const [operation, args, fault, code] of [
      ['ReEncrypt', ['--to-key', 'alias/new'], denied, 'AccessDenied'],
      ['Decrypt', ['--to-key', otherRegionKey.keyArn], denied, 'AccessDenied'],
      ['', ['--to-key', `rsa:${publicFile}`], undefined, 'WrongKey'],
    ] as const) {
      const ciphertext = await encrypted(secret);
      const file = fileWith(ciphertext);
      // The first is the move itself.
      if (fault !== undefined) proxy.fault(fault, { operation, after: 1 });
      const failure = await failureOf(
        'kms-reencrypt',
        ['-u', 'alice', ...args, '-i', file, '-o', file],
        inHome(),
      );
      assert.deepEqual([failure.status, failure.code], [code === 'WrongKey' ? 3 : 4, code]);
      assert.match(
        failure.message,
        /^Could not verify that the new ciphertext opens, so the file is unchanged/,
      );
      if (code === 'WrongKey') assert.match(failure.hint ?? '', /--out, or .* DECRYPT_KEYS/);
      assert.ok(readFileSync(file).equals(ciphertext));
      onlyFile(file);
    }
  });

  test('a proof that gives another message leaves the file as it was', async () => {
    const ciphertext = await encrypted(secret);
    const file = fileWith(ciphertext);
    const rewrite = (answer: Record<string, unknown>): Record<string, unknown> => ({
      ...answer,
      Plaintext: Buffer.from('another').toString('base64'),
    });
    proxy.fault({ kind: 'rewrite', rewrite }, { operation: 'Decrypt', after: 1 });
    const failure = await failureOf(
      'kms-reencrypt',
      ['-u', 'alice', '--to-key', otherRegionKey.keyArn, '-i', file, '-o', file],
      inHome(),
    );
    assert.deepEqual([failure.status, failure.code], [1, 'Unexpected']);
    assert.match(failure.message, /opens, but to a different message/);
    assert.ok(readFileSync(file).equals(ciphertext));
  });

  test('to a new file, nothing needs a proof', async () => {
    const { publicFile, privateFile } = makeRsaPair(temporaryFolder(), 'offline');
    const out = join(temporaryFolder(), 'out');
    const args = ['--to-key', `rsa:${publicFile}`, '-o', out];
    assertQuiet(await reencrypt(args, await encrypted(secret)));
    assert.equal(await opened(readFileSync(out), `rsa:${privateFile}`), secret);
  });
});

describe('the command line', () => {
  test('a key to move to is needed, and no message is read without one', async () => {
    const failure = await failureOf('kms-reencrypt', ['-u', 'alice', '-k', 'alias/old'], {
      ...inHome({ KEY_ID: undefined }),
      stdin: 'x',
    });
    assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
    assert.match(failure.message, /^No key to move messages to\.$/);
  });

  test('a call that can’t be done is refused on a terminal before anything is asked', async () => {
    const folder = temporaryFolder();
    const locked = join(folder, 'locked.pem');
    const { privateKey } = makeRsaPair(folder, 'new');
    const options = {
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'x',
    } as const;
    writePrivate(locked, privateKey.export(options));
    for (const [command, args] of [
      ['kms-encrypt', ['--binary']],
      ['kms-encrypt', ['--binary', '--json', '-o', join(folder, 'out')]],
      ['kms-reencrypt', ['--binary', '--to-key', `rsa:${locked}`]],
      ['kms-reencrypt', ['-o', join(folder, 'none', 'out'), '--to-key', `rsa:${locked}`]],
      ['kms-reencrypt', ['--batch', '--to-key', `rsa:${locked}`]],
    ] as const) {
      const terminal = startOnTerminal(command, [...args], inHome());
      assert.deepEqual(await terminal.exit(), { status: 2, signal: null });
      assert.doesNotMatch(terminal.output(), /Who are you|Passphrase/);
    }
  });

  test('--region contradicts the new key’s ARN', async () => {
    const failure = await failureOf(
      'kms-reencrypt',
      ['-u', 'alice', '-k', 'local', '--region', 'eu-west-1', '--to-key', newKey.keyArn],
      { ...inHome(), stdin: 'x' },
    );
    assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
    assert.match(failure.message, /--region is eu-west-1, but the key's ARN says eu-central-1/);
  });

  test('a passphrase is asked for once, though the proof opens the key again', async () => {
    const folder = temporaryFolder();
    const pair = makeRsaPair(folder, 'pair');
    const locked = join(folder, 'locked.pem');
    const protection = { cipher: 'aes-256-cbc', passphrase: 'open sesame' };
    writePrivate(locked, pair.privateKey.export({ type: 'pkcs8', format: 'pem', ...protection }));
    const file = join(folder, 'message');
    writeFileSync(file, await encrypted(secret, ['-k', `rsa:${pair.publicFile}`]));
    const terminal = startOnTerminal(
      'kms-reencrypt',
      ['-u', 'alice', '-k', `rsa:${locked}`, '--to-key', `rsa:${locked}`, '-i', file, '-o', file],
      inHome(),
    );
    await terminal.waitFor('Passphrase for');
    terminal.write('open sesame\r');
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    assert.equal(await opened(readFileSync(file), `rsa:${pair.privateFile}`), secret);
  });

  test('what is not a ciphertext is reported as such', async () => {
    for (const [stdin, says] of [
      ['', /input is empty/],
      ['hello!', /unexpected ! after 5 characters of base64/],
      [randomBytes(7000), /This is not an encrypted message, or/],
      // One in four cuts there leaves valid base64, for KMS to refuse.
      [
        `${(await encrypted('x'.repeat(3500))).toString().slice(0, 4094)}B`,
        /where a terminal cuts/,
      ],
    ] as const) {
      const failure = await failureOf('kms-reencrypt', ['-u', 'alice'], { ...inHome(), stdin });
      assert.deepEqual([failure.status, failure.code], [3, 'NotCiphertext']);
      assert.match(failure.message, says);
      assert.deepEqual(calls(), []);
    }
  });

  test('on a terminal it asks, and shows base64 whatever it was given', async () => {
    const file = join(temporaryFolder(), 'message');
    writeFileSync(file, await encrypted(secret, ['--binary']));
    const options = { ...inHome(), columns: 400 };
    const asked = startOnTerminal('kms-reencrypt', ['--to-key', 'alias/new'], options);
    await asked.waitFor('alice');
    asked.write('\r');
    await asked.waitFor('Hello alice, please enter your message to re-encrypt: ');
    asked.write(`\x1b[200~${(await encrypted(secret)).toString().trim()}\x1b[201~`);
    asked.write('\r');
    assert.deepEqual(await asked.exit(), { status: 0, signal: null });
    const base64Of = (screen: string): string =>
      /Your re-encrypted message:\n([A-Za-z0-9+/]{60,}=*)$/m.exec(screen)?.[1] ?? screen;
    assert.equal(await opened(base64Of(await asked.screen()), newKey.keyArn), secret);

    const shown = startOnTerminal('kms-reencrypt', ['-u', 'alice', '-i', file], options);
    assert.deepEqual(await shown.exit(), { status: 0, signal: null });
    assert.equal(await opened(base64Of(await shown.screen()), oldKey.keyArn), secret);
  });
});

type Line = Record<string, unknown>;

const jsonLines = (lines: readonly unknown[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('');
const parseLines = (text: Buffer): Line[] =>
  text
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

describe('a batch', () => {
  async function batchOf(lines: Line[], key: string): Promise<Line[]> {
    const done = await run('kms-encrypt', ['--batch', '-q', '-k', key], {
      ...inHome(),
      stdin: jsonLines(lines),
    });
    assert.equal(done.status, 0, done.stderr);
    proxy.reset();
    return parseLines(done.stdout);
  }
  const openedBatch = async (lines: Buffer, keyId: string): Promise<Line[]> => {
    const options = inHome({ KEY_ID: keyId });
    const done = await run('kms-decrypt', ['--batch', '-q'], { ...options, stdin: lines });
    assert.equal(done.status, 0, done.stderr);
    return parseLines(done.stdout);
  };
  const plain = [
    { id: 1, user: 'alice', message: 'one' },
    { id: 2, user: 'bob', message: 'two' },
    { id: 3, user: 'alice', message: 'three' },
  ];

  test('of messages is moved with one data key per user, and the rest of each line is kept', async () => {
    const lines = await batchOf(plain, oldKey.keyArn);
    const done = await run('kms-reencrypt', ['--batch', '-q', '--to-key', newKey.keyArn], {
      ...inHome(),
      stdin: jsonLines(lines),
    });
    assertQuiet(done);
    assert.deepEqual(
      calls().sort(),
      ['DECRYPTOR Decrypt', 'ENCRYPTOR GenerateDataKey'].flatMap((call) => [call, call]),
    );
    assert.deepEqual(await openedBatch(done.stdout, newKey.keyArn), plain);
  });

  test('of KMS blobs is moved within KMS', async () => {
    const blob = async (user: string): Promise<string> => {
      const options = { ...inHome(), stdin: secret };
      return (await run('kms-encrypt', ['-u', user], options)).stdout.toString().trim();
    };
    const lines = [
      { user: 'alice', ciphertext: await blob('alice') },
      { ciphertext: await blob('bob'), user: 'bob', n: 2 },
    ];
    proxy.reset();
    const done = await run('kms-reencrypt', ['--batch', '--to-key', newKey.keyArn], {
      ...inHome(),
      stdin: jsonLines(lines),
    });
    assertQuiet(done);
    assert.deepEqual(calls(), ['MOVER ReEncrypt', 'MOVER ReEncrypt']);
    assert.deepEqual(await openedBatch(done.stdout, newKey.keyArn), [
      { user: 'alice', message: secret },
      { message: secret, user: 'bob', n: 2 },
    ]);
  });

  test('keeps the ciphertext of a line that fails, and fixes it in a second run', async () => {
    const lines = [
      ...(await batchOf(plain, oldKey.keyArn)),
      ...(await batchOf([{ user: 'alice', message: 'of a local key', error: 'mine' }], 'local')),
      { user: 'alice', ciphertext: 'AgR4' },
    ];
    const file = join(temporaryFolder(), 'all.jsonl');
    writeFileSync(file, jsonLines(lines));
    const inPlace = ['--batch', '--to-key', newKey.keyArn, '-i', file, '-o', file];
    const first = await run('kms-reencrypt', inPlace, inHome());
    assert.equal(first.status, 3);
    assert.match(first.stderr, /2 of 5 lines failed/);
    const after = parseLines(readFileSync(file));
    assert.deepEqual(
      after.slice(3).map(({ ciphertext }) => ciphertext),
      lines.slice(3).map(({ ciphertext }) => ciphertext),
    );
    assert.deepEqual(
      after.map(({ error }) => (error as { code?: string } | undefined)?.code),
      [undefined, undefined, undefined, 'WrongKey', 'NotCiphertext'],
    );

    const second = await run('kms-reencrypt', inPlace, inHome({ DECRYPT_KEYS: 'local' }));
    assert.equal(second.status, 3);
    const mended = parseLines(readFileSync(file));
    assert.equal((mended[4]?.error as { code: string }).code, 'NotCiphertext');
    const opened = await openedBatch(Buffer.from(jsonLines(mended.slice(0, 4))), newKey.keyArn);
    assert.deepEqual(opened, [...plain, { user: 'alice', message: 'of a local key' }]);
  });

  test('with a line that is not an object ends, and leaves the file', async () => {
    const file = join(temporaryFolder(), 'all.jsonl');
    const content = `${jsonLines(await batchOf(plain, 'local'))}not JSON\n`;
    writeFileSync(file, content);
    const args = ['--batch', '-k', 'local', '--to-key', 'local', '-i', file, '-o', file];
    const done = await run('kms-reencrypt', args, inHome());
    assert.equal(done.status, 2);
    assert.match(
      done.stderr,
      /Line 4 is not a JSON object\. It and all lines after it were not moved\./,
    );
    assert.equal(readFileSync(file, 'utf8'), content);
  });

  test('in place, each line is proved to open', async () => {
    const file = join(temporaryFolder(), 'all.jsonl');
    const content = jsonLines(await batchOf(plain.slice(0, 1), oldKey.keyArn));
    writeFileSync(file, content);
    proxy.fault(awsError('AccessDeniedException'), { operation: 'Decrypt', after: 1 });
    const args = ['--batch', '--to-key', newKey.keyArn, '-i', file, '-o', file];
    const done = await run('kms-reencrypt', args, inHome());
    assert.equal(done.status, 4);
    assert.deepEqual(calls().slice(0, 3), [
      'DECRYPTOR Decrypt',
      'ENCRYPTOR GenerateDataKey',
      'DECRYPTOR Decrypt',
    ]);
    assert.equal(readFileSync(file, 'utf8'), content);
  });
});

const kills = repetitions(50, 8);

test(`killed at any moment, ${2 * kills} times, a file and a batch in place lose nothing`, async () => {
  const folder = temporaryFolder();
  const [file, batch] = [join(folder, 'file'), join(folder, 'batch')];
  const plaintext = randomBytes(2 ** 21);
  const lines = Array.from({ length: 2000 }, (_, id) => ({ id, user: 'alice', message: secret }));
  // Two local keys, and each run moves from one to the other.
  const keys = [`local:${join(folder, 'a.key')}`, `local:${join(folder, 'b.key')}`];
  const both = { home, cwd: folder, env: { KEY_ID: keys[0], DECRYPT_KEYS: keys[1] } };
  const make = async (args: string[], stdin: string | Uint8Array): Promise<void> => {
    assert.equal((await run('kms-encrypt', ['-q', ...args], { ...both, stdin })).status, 0);
  };
  await make(['-u', 'alice', '--binary', '-o', file], plaintext);
  await make(['--batch', '-o', batch], jsonLines(lines));
  await make(['-u', 'alice', '-k', keys[1] ?? '', '-o', join(folder, 'x')], 'makes the key');

  let replaced = 0;
  const inPlace = async (
    path: string,
    args: string[],
    { to, expected, killAfterMs }: { to: string; expected: Uint8Array; killAfterMs: number },
  ): Promise<void> => {
    const before = readFileSync(path);
    const all = ['-q', ...args, '--to-key', to, '-i', path, '-o', path];
    const command = commandLine('kms-reencrypt', all);
    const child = spawn(command.file, command.args, { ...surroundings(both), stdio: 'ignore' });
    const ended = once(child, 'exit');
    await Promise.race([delay(killAfterMs), ended]);
    child.kill('SIGKILL');
    await ended;
    if (readFileSync(path).equals(before)) return;
    replaced += 1;
    const opening = ['-q', ...args, '-k', to, '-i', path];
    const { status, stdout, stderr } = await run('kms-decrypt', opening, both);
    assert.ok(status === 0 && stdout.equals(expected), stderr);
  };
  const round = async (to: string, killAfter: () => number): Promise<number> => {
    const start = performance.now();
    const outcome = { to, killAfterMs: killAfter() };
    await Promise.all([
      inPlace(file, ['-u', 'alice'], { ...outcome, expected: plaintext }),
      inPlace(batch, ['--batch'], { ...outcome, expected: Buffer.from(jsonLines(lines)) }),
    ]);
    return performance.now() - start;
  };
  const wholeMs = await round(keys[1] ?? '', () => 60_000);
  for (let count = 0; count < kills; count++) {
    // From before the first step to after the last: the time is for the runs and their proofs.
    await round(keys[count % 2] ?? '', () => Math.random() * wholeMs);
  }
  // With few of them chance alone may spare all, or none.
  if (kills === 50) {
    assert.ok(replaced > 6 && replaced < 96, `${replaced} of 102 runs came to their end`);
  }
  // Whatever is left of a killed run is ciphertext.
  for (const name of readdirSync(folder)) {
    assert.equal(readFileSync(join(folder, name)).includes('this is a secret'), false, name);
  }
});
