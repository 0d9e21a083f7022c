/**
 * BACKUP_KEYS and DECRYPT_KEYS through the commands: a KMS key in another Region, an RSA pair and a
 * local key after the first key. Each test has its own proxy in front of a single moto.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { UpdateAliasCommand } from '@aws-sdk/client-kms';
import { parseHeader } from '../../src/envelope/header.ts';
import { type Environment, type Finished, run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import {
  awsError,
  type Fault,
  type FaultProxy,
  refusingEndpoint,
  startFaultProxy,
} from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { makeRsaPair, type RsaPair } from '../support/rsa-keys.ts';

const secret = 'this is a secret';
const large = randomBytes(10_000);
const batch = '{"user":"alice","message":"one"}\n{"user":"bob","message":"two"}\n';
const forAlice = ['-u', 'alice'];

let moto: Moto;
let key: TestKey;
let elsewhere: TestKey;
let folder: string;
let pair: RsaPair;
let localKeyFile: string;
before(async () => {
  moto = await startMoto();
  key = await moto.createKey({ alias: 'first' });
  elsewhere = await moto.createKey({ alias: 'backup', region: 'eu-west-1' });
  folder = temporaryFolder();
  pair = makeRsaPair(folder, 'backup');
  localKeyFile = join(folder, 'backup.key');
  const args = [...forAlice, '-k', `local:${localKeyFile}`];
  assertDone(await run('kms-encrypt', args, { stdin: 'x' }));
});
after(async () => {
  await moto.stop();
});

interface Setup {
  proxy: FaultProxy;
  env: Environment;
}

/** Settings with the first key, and with all of its backups unless `BACKUP_KEYS` says otherwise. */
async function setup(
  testContext: { after: (end: () => Promise<void>) => void },
  env: Environment = {},
): Promise<Setup> {
  const proxy = await startFaultProxy({ target: moto.endpoint });
  testContext.after(() => proxy.stop());
  return {
    proxy,
    env: {
      ...moto.env,
      AWS_ENDPOINT_URL: proxy.endpoint,
      KEY_ID: key.keyArn,
      BACKUP_KEYS: [elsewhere.keyArn, `rsa:${pair.publicFile}`, `local:${localKeyFile}`].join(),
      ...env,
    },
  };
}

function assertDone(finished: Finished, stdout?: Uint8Array | string): void {
  assert.equal(finished.status, 0, finished.stderr);
  if (stdout !== undefined) assert.ok(finished.stdout.equals(Buffer.from(stdout)));
}

async function encryptFor(
  env: Environment,
  stdin: Uint8Array | string = secret,
  args = forAlice,
): Promise<Buffer> {
  const finished = await run('kms-encrypt', args, { env, stdin });
  assertDone(finished);
  return finished.stdout;
}

/** The names of the keys in a message's header. */
function keysIn(ciphertextBase64: Buffer): string[] {
  const header = parseHeader(Buffer.from(ciphertextBase64.toString(), 'base64'));
  return header?.encryptedDataKeys.map(({ keyName }) => keyName) ?? [];
}

/** The calls that a proxy saw, without alias look-ups. */
const callsTo = ({ requests }: FaultProxy): string[] =>
  requests
    .filter(({ operation }) => operation !== 'DescribeKey')
    .map(({ operation, body }) => `${operation} ${String(body?.KeyId)}`);

const reset: Fault = { kind: 'reset', when: 'at-request' };

describe('each key alone opens the message', () => {
  for (const [name, args, plaintext] of [
    ['a small one', forAlice, secret],
    ['a large one', forAlice, large],
    ['an empty one', forAlice, ''],
    ['those of a batch', ['--batch'], batch],
  ] as const) {
    test(name, async (t) => {
      const { env, proxy } = await setup(t);
      const message = await encryptFor(env, plaintext, [...args]);
      if (name !== 'those of a batch') {
        const [arn, backupArn, rsa, local, ...others] = keysIn(message);
        assert.deepEqual([arn, backupArn, rsa], [key.keyArn, elsewhere.keyArn, pair.fingerprint]);
        assert.match(local ?? '', /^[0-9a-f]{16}$/);
        assert.deepEqual(others, []);
      }
      const alone = { ...env, KEY_ID: undefined, BACKUP_KEYS: undefined };
      for (const keyArn of [key.keyArn, elsewhere.keyArn]) {
        proxy.reset();
        const opened = await run('kms-decrypt', [...args, '-k', keyArn], {
          env: alone,
          stdin: message,
        });
        assertDone(opened, plaintext);
        assert.ok(callsTo(proxy).every((call) => call === `Decrypt ${keyArn}`));
      }
      for (const reference of [`rsa:${pair.privateFile}`, `local:${localKeyFile}`]) {
        // No account, no endpoint, no credentials.
        const opened = await run('kms-decrypt', [...args, '-k', reference], { stdin: message });
        assertDone(opened, plaintext);
        assert.equal(opened.stderr, '');
      }
    });
  }
});

describe('with KMS out of reach and the RSA private key at hand', () => {
  const gone = (env: Environment): Environment => ({
    ...env,
    AWS_ENDPOINT_URL: refusingEndpoint,
    DECRYPT_KEYS: `rsa:${pair.privateFile}`,
  });

  test('every message opens, and it says why it was not the first key, even with -q', async (t) => {
    const { env } = await setup(t, { BACKUP_KEYS: `rsa:${pair.publicFile}` });
    for (const plaintext of [secret, large]) {
      const message = await encryptFor(env, plaintext);
      for (const more of [[], ['-q']]) {
        const opened = await run('kms-decrypt', [...forAlice, ...more], {
          env: gone(env),
          stdin: message,
        });
        assertDone(opened, plaintext);
        assert.equal(
          opened.stderr.split('\n').at(-2),
          `kms-decrypt: opened with another key: RSA key ${pair.fingerprint}. AWS KMS in eu-central-1 refused the connection (ECONNREFUSED).`,
        );
      }
    }
  });

  test('so does a batch, which says so once', async (t) => {
    const { env } = await setup(t, { BACKUP_KEYS: `rsa:${pair.publicFile}` });
    const message = await encryptFor(env, batch, ['--batch']);
    const opened = await run('kms-decrypt', ['--batch', '-q'], { env: gone(env), stdin: message });
    assertDone(opened, batch);
    assert.deepEqual(opened.stderr.match(/opened with.*/g), [
      `opened with another key: RSA key ${pair.fingerprint}. AWS KMS in eu-central-1 refused the connection (ECONNREFUSED).`,
    ]);
  });

  test('a message from before the backup key was set does not, and the error says why', async (t) => {
    const { env } = await setup(t, { BACKUP_KEYS: undefined });
    for (const plaintext of [secret, large]) {
      const failure = await failureOf('kms-decrypt', forAlice, {
        env: gone(env),
        stdin: await encryptFor(env, plaintext),
      });
      assert.deepEqual([failure.status, failure.code], [5, 'Unavailable']);
      assert.match(failure.message, /^AWS KMS in eu-central-1 refused the connection/);
    }
  });

  test('with the public key alone, the error says what is missing', async (t) => {
    const { env } = await setup(t, { BACKUP_KEYS: `rsa:${pair.publicFile}` });
    const failure = await failureOf('kms-decrypt', forAlice, {
      env: { ...gone(env), DECRYPT_KEYS: undefined },
      stdin: await encryptFor(env),
    });
    assert.deepEqual([failure.status, failure.code], [5, 'Unavailable']);
    assert.match(failure.message, /refused the connection .*needs the private key\.$/);
  });
});

describe('a backup key that fails while encrypting', () => {
  const answers: [string, Fault, number, string, RegExp][] = [
    ['is disabled', awsError('DisabledException'), 4, 'KeyUnusable', /is disabled/],
    [
      'is scheduled for deletion',
      awsError('KMSInvalidStateException'),
      4,
      'KeyUnusable',
      /scheduled for deletion/,
    ],
    ['is not there', awsError('NotFoundException'), 4, 'KeyNotFound', /There is no key/],
    ['is refused', awsError('AccessDeniedException'), 4, 'AccessDenied', /not allowed to encrypt/],
    ['throttles', awsError('ThrottlingException'), 5, 'Throttled', /is throttling requests/],
    ['can not be reached', reset, 5, 'Unavailable', /was lost/],
  ];
  for (const [name, fault, status, code, says] of answers) {
    test(`it ${name}: no message with fewer keys`, async (t) => {
      const { env, proxy } = await setup(t);
      proxy.fault(fault, { region: 'eu-west-1' });
      const out = join(temporaryFolder(), 'out');
      writeFileSync(out, 'as it was');
      for (const [args, stdin] of [
        [forAlice, secret],
        [forAlice, large],
        [[...forAlice, '-o', out], secret],
      ] as const) {
        const failure = await failureOf('kms-encrypt', [...args], { env, stdin });
        assert.deepEqual([failure.status, failure.code], [status, code]);
        assert.match(failure.message, says);
        assert.match(failure.message, /eu-west-1/);
      }
      const lines = await run('kms-encrypt', ['--batch', '-o', out], { env, stdin: batch });
      assert.deepEqual([lines.status, lines.stdout.length], [status, 0]);
      assert.match(lines.stderr, says);
      assert.equal(readFileSync(out, 'utf8'), 'as it was');
    });
  }

  test('an alias that does not exist', async (t) => {
    const arn = elsewhere.keyArn.replace(/key\/.*/, 'alias/none');
    const { env, proxy } = await setup(t, { BACKUP_KEYS: arn });
    const failure = await failureOf('kms-encrypt', forAlice, { env, stdin: secret });
    assert.deepEqual([failure.status, failure.code], [4, 'KeyNotFound']);
    assert.ok(failure.message.includes(arn));
    assert.deepEqual(callsTo(proxy), []);
  });

  test('a file that does not exist, noticed before anything is encrypted', async (t) => {
    const { env, proxy } = await setup(t, { BACKUP_KEYS: `rsa:${join(folder, 'none.pem')}` });
    for (const args of [forAlice, ['--batch']]) {
      const finished = await run('kms-encrypt', args, { env, stdin: batch });
      assert.deepEqual([finished.status, finished.stdout.length], [4, 0]);
      assert.match(finished.stderr, /none\.pem: no such file \(ENOENT\)/);
    }
    assert.equal(proxy.count(), 0);
  });

  test('the first key may fail as well', async (t) => {
    const { env, proxy } = await setup(t);
    proxy.fault(awsError('DisabledException'), { region: 'eu-central-1' });
    const failure = await failureOf('kms-encrypt', forAlice, { env, stdin: secret });
    assert.deepEqual([failure.status, failure.code], [4, 'KeyUnusable']);
    assert.ok(failure.message.includes(key.keyArn));
  });
});

describe('keys that need no service', () => {
  test('encrypting with an RSA key makes no call, although everything is set up for one', async (t) => {
    const { env, proxy } = await setup(t, {
      KEY_ID: `rsa:${pair.publicFile}`,
      BACKUP_KEYS: `local:${localKeyFile}`,
    });
    for (const [args, plaintext] of [
      [forAlice, secret],
      [forAlice, large],
      [['--batch'], batch],
    ] as const) {
      const message = await encryptFor(env, plaintext, [...args]);
      const opened = await run('kms-decrypt', [...args], {
        env: { ...env, KEY_ID: `rsa:${pair.privateFile}` },
        stdin: message,
      });
      assertDone(opened, plaintext);
      assert.equal(opened.stderr, '');
    }
    assert.equal(proxy.count(), 0);
  });

  test('and needs no account', async () => {
    const env = { KEY_ID: `rsa:${pair.publicFile}` };
    const opened = await run('kms-decrypt', [...forAlice, '-k', `rsa:${pair.privateFile}`], {
      stdin: await encryptFor(env),
    });
    assertDone(opened, secret);
  });
});

describe('which key opens a message', () => {
  test('the first, if it can: no other is asked, and nothing is said', async (t) => {
    const { env, proxy } = await setup(t);
    const message = await encryptFor(env);
    proxy.reset();
    const opened = await run('kms-decrypt', [...forAlice, '-q'], { env, stdin: message });
    assertDone(opened, secret);
    assert.deepEqual(callsTo(proxy), [`Decrypt ${key.keyArn}`]);
    assert.match(opened.stderr, /^[^\n]*which is not AWS KMS[^\n]*\n$/);
  });

  const failures: [string, Fault, RegExp][] = [
    ['is refused', awsError('AccessDeniedException'), /not allowed to decrypt with \S+ for alice/],
    ['is disabled', awsError('DisabledException'), /is disabled \(DisabledException\)\.$/],
    ['is out of reach', reset, /was lost \(ECONNRESET\)\.$/],
  ];
  for (const [name, fault, why] of failures) {
    test(`the next one, if the first ${name}: that is reported, even with -q`, async (t) => {
      const { env, proxy } = await setup(t);
      const message = await encryptFor(env);
      for (const more of [[], ['-q'], ['--json']]) {
        proxy.reset();
        proxy.fault(fault, { region: 'eu-central-1' });
        const opened = await run('kms-decrypt', [...forAlice, ...more], { env, stdin: message });
        assertDone(opened);
        const [, said = '', ...others] = opened.stderr.trimEnd().split('\n');
        assert.ok(said.startsWith(`kms-decrypt: opened with another key: ${elsewhere.keyArn}. `));
        assert.match(said, why);
        assert.deepEqual(others, []);
        assert.equal(callsTo(proxy).at(-1), `Decrypt ${elsewhere.keyArn}`);
      }
    });
  }

  test('backup keys before old ones, each in order', async (t) => {
    const old = await moto.createKey();
    const { env, proxy } = await setup(t, { BACKUP_KEYS: `${elsewhere.keyArn},${old.keyArn}` });
    const message = await encryptFor(env);
    proxy.reset();
    proxy.fault(awsError('DisabledException'));
    const failure = await failureOf('kms-decrypt', forAlice, {
      env: { ...env, BACKUP_KEYS: old.keyArn, DECRYPT_KEYS: elsewhere.keyArn },
      stdin: message,
    });
    assert.deepEqual(
      callsTo(proxy),
      [key, old, elsewhere].map(({ keyArn }) => `Decrypt ${keyArn}`),
    );
    // Someone may be able to fix any one of them.
    assert.deepEqual([failure.status, failure.code], [4, 'KeyUnusable']);
    for (const { keyArn } of [key, old, elsewhere]) assert.ok(failure.message.includes(keyArn));
  });

  test('only one that is configured: a header asks for no other', async (t) => {
    const stranger = await moto.createKey();
    const { env, proxy } = await setup(t, {
      KEY_ID: stranger.keyArn,
      BACKUP_KEYS: `${elsewhere.keyArn},${key.keyArn},rsa:${pair.publicFile}`,
    });
    for (const [args, plaintext] of [
      [forAlice, secret],
      [['--batch'], batch],
    ] as const) {
      const message = await encryptFor(env, plaintext, [...args]);
      for (const reference of [key.keyArn, 'alias/first', key.keyId]) {
        proxy.reset();
        const opened = await run('kms-decrypt', [...args], {
          env: { ...env, KEY_ID: reference, BACKUP_KEYS: undefined },
          stdin: message,
        });
        assertDone(opened, plaintext);
        assert.deepEqual([...new Set(callsTo(proxy))], [`Decrypt ${key.keyArn}`]);
      }
    }

    const { keyArn } = await moto.createKey();
    const message = await encryptFor({ ...env, BACKUP_KEYS: `rsa:${pair.publicFile}` });
    proxy.reset();
    const failure = await failureOf('kms-decrypt', forAlice, {
      env: { ...env, KEY_ID: keyArn, BACKUP_KEYS: `local:${localKeyFile}` },
      stdin: message,
    });
    assert.deepEqual([failure.status, failure.code], [3, 'WrongKey']);
    for (const name of [stranger.keyArn, pair.fingerprint, keyArn, localKeyFile]) {
      assert.ok(failure.message.includes(name), name);
    }
    assert.equal(proxy.count(), 0);
  });

  test('not one for the wrong user: no key is asked', async (t) => {
    const { env, proxy } = await setup(t);
    const message = await encryptFor(env);
    proxy.reset();
    const failure = await failureOf('kms-decrypt', ['-u', 'bob'], { env, stdin: message });
    assert.deepEqual([failure.status, failure.code, proxy.count()], [3, 'WrongUser', 0]);
  });

  test('wrong keys and missing files do not get in the way of the right one', async (t) => {
    const wrong = makeRsaPair(folder, 'wrong');
    const { env } = await setup(t, { BACKUP_KEYS: `rsa:${pair.publicFile}` });
    const message = await encryptFor(env);
    const keys = [
      'rsa:gone.pem',
      'local:gone.key',
      `rsa:${wrong.privateFile}`,
      `rsa:${pair.publicFile}`,
      `rsa:${pair.privateFile}`,
    ];
    const opened = await run('kms-decrypt', [...forAlice, '-k', 'alias/none'], {
      env: { ...env, DECRYPT_KEYS: keys.join() },
      stdin: message,
    });
    assertDone(opened, secret);
    assert.match(
      opened.stderr,
      /opened with another key: RSA key .* There is no key alias\/none in eu-central-1/,
    );
  });
});

describe('the same key twice', () => {
  test('wraps each message once, however it is named', async (t) => {
    const aliasArn = key.keyArn.replace(/key\/.*/, 'alias/first');
    const copy = join(folder, 'copy.pem');
    writeFileSync(copy, readFileSync(pair.publicFile));
    const { env, proxy } = await setup(t, {
      KEY_ID: 'alias/first',
      BACKUP_KEYS: [
        ...[key.keyArn, aliasArn, key.keyId, 'alias/first'],
        ...[pair.publicFile, pair.privateFile, copy].map((file) => `rsa:${file}`),
      ].join(),
    });
    assert.deepEqual(keysIn(await encryptFor(env)), [key.keyArn, pair.fingerprint]);
    assert.deepEqual(callsTo(proxy), [`GenerateDataKey ${key.keyArn}`]);
    proxy.reset();
    await encryptFor(env, '{"user":"alice","message":"one"}\n', ['--batch']);
    assert.deepEqual(callsTo(proxy), [`GenerateDataKey ${key.keyArn}`]);
  });

  test('replicas are one key: encrypting asks the first, decrypting may ask the others', async (t) => {
    const replicated = await moto.createKey({ replicaRegion: 'eu-west-1' });
    const replicaArn = replicated.replicaArn ?? '';
    const { env, proxy } = await setup(t, {
      KEY_ID: replicated.keyArn,
      BACKUP_KEYS: `${replicaArn},rsa:${pair.publicFile}`,
    });
    proxy.fault(reset, { region: 'eu-west-1' });
    const message = await encryptFor(env);
    assert.deepEqual(keysIn(message), [replicated.keyArn, pair.fingerprint]);
    proxy.reset();
    proxy.fault(reset, { region: 'eu-central-1' });
    const opened = await run('kms-decrypt', forAlice, { env, stdin: message });
    assertDone(opened, secret);
    assert.match(opened.stderr, new RegExp(`opened with another key: ${replicaArn}`));
    assert.equal(callsTo(proxy).at(-1), `Decrypt ${replicaArn}`);
  });
});

describe('many backup keys', () => {
  const localKeys = (count: number): string =>
    Array.from({ length: count }, (_, index) => `local:${join(folder, `${index}.key`)}`).join();

  test('fifteen: the last one opens the message too', async (t) => {
    const { env } = await setup(t, { BACKUP_KEYS: localKeys(15) });
    const message = await encryptFor(env);
    assert.equal(keysIn(message).length, 16);
    const last = ['-k', `local:${join(folder, '14.key')}`];
    assertDone(await run('kms-decrypt', [...forAlice, ...last], { stdin: message }), secret);
    assertDone(await run('kms-decrypt', forAlice, { env, stdin: message }), secret);
  });

  test('sixteen are more than a message can have', async (t) => {
    const { env, proxy } = await setup(t, { BACKUP_KEYS: localKeys(16) });
    for (const command of ['kms-encrypt', 'kms-decrypt'] as const) {
      const failure = await failureOf(command, forAlice, { env, stdin: secret });
      assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
      assert.equal(
        failure.message,
        'BACKUP_KEYS names 16 keys; a message can have at most 15 besides its first.',
      );
    }
    const lines = await run('kms-encrypt', ['--batch'], { env, stdin: batch });
    assert.deepEqual([lines.status, lines.stdout.length], [2, 0]);
    assert.equal(proxy.count(), 0);
    assert.ok(!existsSync(join(folder, '15.key')));
  });
});

describe('DECRYPT_KEYS, for old keys', () => {
  test('open what was encrypted before an alias moved, and encrypt nothing', async (t) => {
    const [old, next] = await Promise.all([moto.createKey({ alias: 'moved' }), moto.createKey()]);
    const { env, proxy } = await setup(t, { KEY_ID: 'alias/moved', BACKUP_KEYS: undefined });
    const messages = [await encryptFor(env, large), await encryptFor(env, batch, ['--batch'])];
    const move = { AliasName: 'alias/moved', TargetKeyId: next.keyId };
    await moto.kms().send(new UpdateAliasCommand(move));

    proxy.reset();
    const without = await failureOf('kms-decrypt', forAlice, { env, stdin: messages[0] });
    assert.deepEqual([without.status, without.code], [3, 'WrongKey']);
    assert.match(
      without.message,
      new RegExp(`${old.keyArn}, not with alias/moved \\(${next.keyArn}\\)`),
    );
    assert.match(without.hint ?? '', /DECRYPT_KEYS/);
    assert.deepEqual(callsTo(proxy), []);

    const withOld = { ...env, DECRYPT_KEYS: old.keyArn };
    const opened = await run('kms-decrypt', [...forAlice, '-q'], {
      env: withOld,
      stdin: messages[0],
    });
    assertDone(opened, large);
    assert.match(opened.stderr, new RegExp(`opened with another key: ${old.keyArn}\\.\n$`));
    // Old and new lines in one batch.
    const newer = await encryptFor(withOld, batch, ['--batch']);
    const both = await run('kms-decrypt', ['--batch'], {
      env: withOld,
      stdin: Buffer.concat([messages[1] ?? Buffer.of(), newer]),
    });
    assertDone(both, batch + batch);

    proxy.reset();
    assert.deepEqual(keysIn(await encryptFor(withOld, large)), [next.keyArn]);
    assert.deepEqual(callsTo(proxy), [`GenerateDataKey ${next.keyArn}`]);
  });

  test('the error is about the old key, not that the first is a different one', async (t) => {
    const [old, next] = await Promise.all([moto.createKey(), moto.createKey()]);
    const { env, proxy } = await setup(t, { KEY_ID: old.keyArn, BACKUP_KEYS: undefined });
    const message = await encryptFor(env);
    const later = { ...env, KEY_ID: next.keyArn, DECRYPT_KEYS: old.keyArn };
    for (const [fault, status, code] of [
      [awsError('DisabledException'), 4, 'KeyUnusable'],
      [awsError('KMSInternalException', 500), 5, 'Unavailable'],
    ] as const) {
      proxy.reset();
      // As AWS answers; moto reports another key as a missing permission.
      proxy.fault(awsError('IncorrectKeyException'), { times: 1 });
      proxy.fault(fault);
      const failure = await failureOf('kms-decrypt', forAlice, { env: later, stdin: message });
      assert.deepEqual([failure.status, failure.code], [status, code]);
      assert.equal(callsTo(proxy).at(-1), `Decrypt ${old.keyArn}`);
    }
    proxy.reset();
    proxy.fault(awsError('IncorrectKeyException'));
    const failure = await failureOf('kms-decrypt', forAlice, { env: later, stdin: message });
    assert.deepEqual([failure.status, failure.code], [3, 'WrongKey']);
    assert.ok(failure.message.includes(next.keyArn));
  });

  test('touch no file before a message asks for one of their kind', async (t) => {
    const { env } = await setup(t, { BACKUP_KEYS: `local:${localKeyFile}` });
    const message = await encryptFor(env);
    const away = `${pair.privateFile}.away`;
    renameSync(pair.privateFile, away);
    try {
      const opened = await run('kms-decrypt', [...forAlice, '-k', `local:${localKeyFile}`], {
        env: { DECRYPT_KEYS: `rsa:${pair.privateFile},alias/first` },
        stdin: message,
      });
      assertDone(opened, secret);
      assert.equal(opened.stderr, '');
    } finally {
      renameSync(away, pair.privateFile);
    }
  });
});
