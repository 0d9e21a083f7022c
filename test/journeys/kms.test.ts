/** Messages under an AWS KMS key: what this program writes, what it reads, and what it refuses. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { UpdateAliasCommand } from '@aws-sdk/client-kms';
import fc from 'fast-check';
import { decrypt } from '../../src/messages/decrypt.ts';
import { encrypt } from '../../src/messages/encrypt.ts';
import { KmsPocError } from '../../src/errors.ts';
import { openEncryptionKey } from '../../src/keys/encryption-keys.ts';
import { parseKeyReference } from '../../src/keys/key-reference.ts';
import type { KeySources } from '../../src/keys/key-sources.ts';
import { collect, inPieces } from '../support/bytes.ts';
import { type Finished, run, temporaryFolder } from '../support/command.ts';
import { checkLine, failureOf } from '../support/failure.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { noEvents, testKeySources } from '../support/key-sources.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { pythonProgram } from '../support/python.ts';

const secret = 'this is a secret';

let moto: Moto;
let proxy: FaultProxy;
let key: TestKey;
/** KMS directly, and through the proxy. */
let sources: KeySources;
let proxied: KeySources;
before(async () => {
  process.env.AWS_MAX_ATTEMPTS = '1';
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  moto = await startMoto();
  key = await moto.createKey({ alias: 'theKey' });
  proxy = await startFaultProxy({ target: moto.endpoint });
  sources = testKeySources({ endpoint: moto.endpoint });
  proxied = testKeySources({ endpoint: proxy.endpoint });
});
beforeEach(() => {
  proxy.reset();
});
after(async () => {
  await proxy.stop();
  await moto.stop();
});

interface Choices {
  user?: string;
  keys?: readonly string[];
  from?: KeySources;
}

async function encrypted(
  plaintext: Uint8Array | string,
  { user = 'alice', keys = ['alias/theKey'], from = sources }: Choices = {},
): Promise<{ ciphertext: Buffer; format: string; key: string }> {
  const reference = parseKeyReference(keys[0] ?? '', '--key');
  const opened = await openEncryptionKey(reference, from);
  const { ciphertext, ...rest } = await encrypt(
    user,
    [opened],
    inPieces(Buffer.from(plaintext), [1000]),
    false,
  );
  return { ...rest, ciphertext: await collect(ciphertext) };
}

async function decrypted(
  input: Uint8Array | string,
  { user = 'alice', keys = ['alias/theKey'], from = sources }: Choices = {},
): Promise<{ plaintext: Buffer; format: string; key: string; otherKeys: string[] }> {
  const otherKeys: string[] = [];
  const {
    plaintext,
    format,
    key: openedWith,
  } = await decrypt(
    {
      user,
      keys: keys.map((each) => parseKeyReference(each, '--key')),
      sources: { ...from, events: { ...noEvents, otherKey: (name) => otherKeys.push(name) } },
      requireSigned: false,
      outputHeldUntilEnd: false,
    },
    inPieces(Buffer.from(input)),
  );
  return { plaintext: await collect(plaintext), format, key: openedWith(), otherKeys };
}

async function errorOf(pending: Promise<unknown>): Promise<KmsPocError> {
  const error = await pending.then(
    () => assert.fail('it was to fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KmsPocError, String(error));
  checkLine(error.message);
  return error;
}

const runFor = (
  command: 'kms-encrypt' | 'kms-decrypt',
  user: string,
  stdin: Uint8Array | string,
  args: string[] = [],
): Promise<Finished> =>
  run(command, ['-q', '-u', user, ...args], {
    stdin,
    env: { ...moto.env, KEY_ID: 'alias/theKey' },
  });

describe("the article's pair, through pipes", () => {
  test('alice gets it back, bob does not', async () => {
    const { status, stdout } = await runFor('kms-encrypt', 'alice', secret);
    assert.equal(status, 0);
    assert.match(stdout.toString(), /^[A-Za-z0-9+/]+={0,2}\n$/);

    const [forAlice, forBob, forBobInWords] = await Promise.all([
      runFor('kms-decrypt', 'alice', stdout),
      failureOf('kms-decrypt', ['-u', 'bob'], {
        stdin: stdout,
        env: { ...moto.env, KEY_ID: 'alias/theKey' },
      }),
      runFor('kms-decrypt', 'bob', stdout),
    ]);
    assert.deepEqual([forAlice.status, forAlice.stdout.toString()], [0, secret]);
    assert.deepEqual([forBob.status, forBob.code], [3, 'CannotDecrypt']);
    assert.match(forBob.message, /for bob \(InvalidCiphertextException\)/);
    assert.match(forBob.hint ?? '', /another user/);
    assert.deepEqual([forBobInWords.status, forBobInWords.stdout.length], [3, 0]);
  });

  test('whatever AWS_DEFAULTS_MODE is, and with a role of a profile', async () => {
    const { AWS_ACCESS_KEY_ID: id = '', AWS_SECRET_ACCESS_KEY: secretKey = '', ...rest } = moto.env;
    const config = join(temporaryFolder(), 'config');
    writeFileSync(
      config,
      `[profile source]
aws_access_key_id = ${id}
aws_secret_access_key = ${secretKey}
[profile assumed]
source_profile = source
role_arn = arn:aws:iam::123456789012:role/any
defaults_mode = no such mode
`,
    );
    const env = { ...rest, AWS_CONFIG_FILE: config, KEY_ID: 'alias/theKey' };
    const args = ['-u', 'alice', '-q', '--profile', 'assumed'];
    for (const mode of [{}, { AWS_DEFAULTS_MODE: '' }, { AWS_DEFAULTS_MODE: 'no such mode' }]) {
      const { status, stderr } = await run('kms-encrypt', args, {
        stdin: secret,
        env: { ...env, ...mode },
      });
      assert.equal(status, 0, stderr);
    }
  });

  test('--json', async () => {
    const { stdout } = await runFor('kms-encrypt', 'alice', 'äöü\n', ['--json']);
    const { ciphertext, ...rest } = JSON.parse(stdout.toString()) as Record<string, string>;
    assert.deepEqual(rest, { user: 'alice', key: key.keyArn, keys: [key.keyArn], format: 'kms' });
    assert.match(stdout.toString(), /^\{.*\}\n$/);

    const text = await runFor('kms-decrypt', 'alice', ciphertext ?? '', ['--json']);
    assert.deepEqual(JSON.parse(text.stdout.toString()), {
      user: 'alice',
      message: 'äöü\n',
      key: key.keyArn,
      format: 'kms',
    });
    const bytes = await encrypted(Buffer.from([0xff, 0xfe]));
    const notText = await runFor('kms-decrypt', 'alice', bytes.ciphertext, ['--json']);
    assert.deepEqual(JSON.parse(notText.stdout.toString()), {
      user: 'alice',
      messageBase64: '//4=',
      key: key.keyArn,
      format: 'kms',
    });
  });

  test('--binary', async () => {
    const { status, stdout } = await runFor('kms-encrypt', 'alice', secret, ['--binary']);
    assert.equal(status, 0);
    assert.equal((await decrypted(stdout)).plaintext.toString(), secret);
    assert.ok(stdout.subarray(0, 36).equals(Buffer.from(key.keyId)), "moto's blob, as it is");
  });
});

describe('other tools', () => {
  const env = (): Record<string, string> => moto.env;
  const aws = (args: string[], cwd?: string): Promise<Finished> =>
    run(pythonProgram('aws'), ['kms', ...args], { env: env(), cwd });
  const boto3 = (args: string[], stdin: Uint8Array | string): Promise<Finished> =>
    run(pythonProgram('python'), [join(import.meta.dirname, 'boto3_kms.py'), ...args], {
      env: env(),
      stdin,
    });

  test('the AWS CLI reads what kms-encrypt writes', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'blob'), (await encrypted(secret)).ciphertext);
    const decryptFor = (user: string): Promise<Finished> =>
      aws(
        [
          ...['decrypt', '--ciphertext-blob', 'fileb://blob', '--encryption-context'],
          ...[`user=${user}`, '--query', 'Plaintext', '--output', 'text'],
        ],
        folder,
      );
    const [forAlice, forBob] = await Promise.all([decryptFor('alice'), decryptFor('bob')]);
    assert.deepEqual([forAlice.stderr, forAlice.status], ['', 0]);
    assert.equal(Buffer.from(forAlice.stdout.toString(), 'base64').toString(), secret);
    assert.match(forBob.stderr, /InvalidCiphertextException/);
  });

  test('kms-decrypt reads everything that the AWS CLI writes: JSON, base64, a raw file', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'plain'), secret);
    const { stdout: json, stderr } = await aws(
      [
        ...['encrypt', '--key-id', 'alias/theKey', '--plaintext', 'fileb://plain'],
        ...['--encryption-context', 'user=alice', '--output', 'json'],
      ],
      folder,
    );
    assert.equal(stderr, '');
    const { CiphertextBlob: base64 = '' } = JSON.parse(json.toString()) as Record<string, string>;
    const blob = join(folder, 'blob');
    writeFileSync(blob, Buffer.from(base64, 'base64'));

    const opened = await Promise.all([
      runFor('kms-decrypt', 'alice', json),
      runFor('kms-decrypt', 'alice', `${base64}\n`),
      runFor('kms-decrypt', 'alice', '', ['--in', blob]),
    ]);
    for (const { status, stdout } of opened) {
      assert.deepEqual([status, stdout.toString()], [0, secret]);
    }
  });

  test('boto3, both ways', async () => {
    const bytes = Buffer.concat([randomBytes(300), Buffer.from('\0\n')]);
    const ours = await runFor('kms-encrypt', 'bob', bytes);
    const [theirPlaintext, theirs] = await Promise.all([
      boto3(['decrypt', 'bob'], ours.stdout),
      boto3(['encrypt', 'alias/theKey', 'bob'], bytes),
    ]);
    assert.equal(theirPlaintext.stderr, '');
    assert.ok(theirPlaintext.stdout.equals(bytes));
    const { status, stdout } = await runFor('kms-decrypt', 'bob', theirs.stdout);
    assert.equal(status, 0);
    assert.ok(stdout.equals(bytes));
  });
});

describe('keys', () => {
  test('by alias, alias ARN, id and ARN: the key that was used is reported by its ARN', async () => {
    const aliasArn = key.keyArn.replace(/key\/.*/, 'alias/theKey');
    const names = ['alias/theKey', aliasArn, key.keyId, key.keyArn];
    for (const name of names) {
      const message = await encrypted(secret, { keys: [name] });
      assert.deepEqual([message.format, message.key], ['kms', key.keyArn]);
      for (const other of names) {
        const opened = await decrypted(message.ciphertext, { keys: [other] });
        assert.equal(opened.plaintext.toString(), secret);
        assert.equal(opened.key, key.keyArn);
      }
    }
  });

  test('a response with a key other than the one asked for is refused', async () => {
    const { ciphertext } = await encrypted(secret);
    const wrong = key.keyArn.replace(/[^/]*$/, '1234abcd-12ab-34cd-56ef-1234567890ab');
    proxy.fault({ kind: 'rewrite', rewrite: (answer) => ({ ...answer, KeyId: wrong }) });
    for (const keyId of [key.keyId, key.keyArn]) {
      const choices = { keys: [keyId], from: proxied };
      for (const error of [
        await errorOf(encrypted(secret, choices)),
        await errorOf(decrypted(ciphertext, choices)),
      ]) {
        assert.deepEqual([error.code, error.status], ['Unavailable', 5]);
        assert.equal(error.message, `AWS KMS returned the key ${wrong} instead of ${keyId}.`);
        assert.match(error.hint ?? '', /AWS_ENDPOINT_URL/);
      }
    }
    // Only KMS knows where an alias points.
    assert.equal((await encrypted(secret, { from: proxied })).key, wrong);
  });

  test('a response whose key is no ARN at all is refused, in one short line', async () => {
    const long = 'A'.repeat(10_000);
    for (const [wrong, said] of [
      [5, 'no key'],
      [{}, 'no key'],
      ['', `the key  instead of ${key.keyArn}`],
      ['a\u001b[31m\n', `the key a?[31m? instead of ${key.keyArn}`],
      [long, `the key ${long.slice(0, 128)} instead of ${key.keyArn}`],
    ] as const) {
      proxy.reset();
      proxy.fault({ kind: 'rewrite', rewrite: (answer) => ({ ...answer, KeyId: wrong }) });
      const error = await errorOf(encrypted(secret, { keys: [key.keyArn], from: proxied }));
      assert.deepEqual([error.code, error.status], ['Unavailable', 5]);
      assert.equal(error.message, `AWS KMS returned ${said}.`);
    }
  });

  test('DECRYPT_KEYS opens what was encrypted before an alias moved', async () => {
    const [first, second] = await Promise.all([
      moto.createKey({ alias: 'moving' }),
      moto.createKey(),
    ]);
    const { ciphertext } = await encrypted(secret, { keys: ['alias/moving'] });
    await moto
      .kms()
      .send(new UpdateAliasCommand({ AliasName: 'alias/moving', TargetKeyId: second.keyId }));

    const decryptWith = (DECRYPT_KEYS: string | undefined): Promise<Finished> =>
      run('kms-decrypt', ['-u', 'alice'], {
        stdin: ciphertext,
        env: { ...moto.env, KEY_ID: 'alias/moving', DECRYPT_KEYS },
      });
    const [without, withOld, withOthers] = await Promise.all([
      decryptWith(undefined),
      decryptWith(first.keyArn),
      decryptWith(`local, alias/theKey, ${first.keyId}`),
    ]);
    assert.deepEqual([without.status, without.stdout.length], [4, 0]);
    for (const { status, stdout, stderr } of [withOld, withOthers]) {
      assert.deepEqual([status, stdout.toString()], [0, secret]);
      assert.match(stderr, new RegExp(`opened with another key: ${first.keyArn}`));
    }
    // It is never used to encrypt.
    const { stdout } = await run('kms-encrypt', ['-u', 'alice', '--json'], {
      stdin: secret,
      env: { ...moto.env, KEY_ID: 'alias/moving', DECRYPT_KEYS: first.keyArn },
    });
    assert.match(stdout.toString(), new RegExp(`"key":"${second.keyArn}"`));
  });

  test('when no key opens it, the error is about the one in use', async () => {
    const other = await moto.createKey();
    const { ciphertext } = await encrypted(secret);
    const keys = ['alias/theKey', other.keyId, 'alias/none'];
    const error = await errorOf(decrypted(ciphertext, { user: 'bob', keys }));
    assert.deepEqual([error.code, error.status], ['CannotDecrypt', 3]);
  });

  test('a KMS message with no KMS key set is a usage error that says so', async () => {
    const { ciphertext } = await encrypted(secret);
    const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'local'], {
      stdin: ciphertext,
    });
    assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
    assert.match(failure.message, /an AWS KMS message, and no AWS KMS key is set/);
    assert.match(failure.hint ?? '', /KEY_ID/);
  });
});

describe('bytes', () => {
  const messages: Record<string, Uint8Array> = {
    'a NUL': Buffer.from('\0'),
    'a newline at the end': Buffer.from('a\n'),
    'CR LF and trailing spaces': Buffer.from('a\r\nb \t \r\n'),
    'emoji and combining signs': Buffer.from('👩‍👩‍👧‍👦 e\u0301 ﷽'),
    'a byte order mark': Buffer.from('\ufeffa'),
    'no UTF-8': Buffer.from([0xff, 0xfe, 0x80, 0xc3, 0x28]),
    'base64 itself': Buffer.from('QUJD\n'),
    '4,096 bytes': randomBytes(4096),
  };
  for (const [name, plaintext] of Object.entries(messages)) {
    test(`are exact: ${name}`, async () => {
      const { ciphertext, format } = await encrypted(plaintext);
      assert.equal(format, 'kms');
      assert.ok((await decrypted(ciphertext)).plaintext.equals(plaintext));
      assert.ok((await decrypted(ciphertext.toString('base64'))).plaintext.equals(plaintext));
    });
  }

  test('are exact through both commands', async () => {
    const plaintext = Buffer.from('\0\xff\r\n👩‍👩‍👧‍👦\n\n', 'utf8');
    const message = await runFor('kms-encrypt', 'alice', plaintext);
    const { stdout } = await runFor('kms-decrypt', 'alice', message.stdout);
    assert.ok(stdout.equals(plaintext));
  });

  test('none, and more than KMS accepts, become an AWS Encryption SDK message', async () => {
    for (const length of [0, 4097]) {
      const plaintext = randomBytes(length);
      const message = await encrypted(plaintext);
      assert.deepEqual([message.format, message.key], ['aws-encryption-sdk', key.keyArn]);
      const opened = await decrypted(message.ciphertext);
      assert.ok(opened.plaintext.equals(plaintext));
      assert.deepEqual([opened.format, opened.key], ['aws-encryption-sdk', key.keyArn]);
      const error = await errorOf(decrypted(message.ciphertext, { user: 'bob' }));
      assert.deepEqual([error.code, error.status], ['WrongUser', 3]);
    }
  });

  test('any bytes, for any allowed user', async () => {
    const user = fc.stringMatching(/^[A-Za-z0-9._@+-]{1,64}$/);
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 4096 }),
        user,
        async (bytes, to) => {
          const { ciphertext } = await encrypted(bytes, { user: to });
          const { plaintext } = await decrypted(ciphertext.toString('base64'), { user: to });
          assert.ok(plaintext.equals(bytes));
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('a message that was changed', () => {
  /** In moto's blob: the id of the key that it is encrypted with. */
  const keyIdBytes = 36;

  test('each flipped bit is found', async () => {
    const { ciphertext } = await encrypted('!');
    for (let bit = 0; bit < ciphertext.length * 8; bit++) {
      const changed = Buffer.from(ciphertext);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const error = await errorOf(decrypted(changed.toString('base64')));
      // moto reports an unknown key as one of another account, unless its id is not text at all.
      const expected = bit >> 3 < keyIdBytes ? /^(?:4 AccessDenied|3 CannotDecrypt)$/ : /^3 Cannot/;
      assert.match(`${error.status} ${error.code}`, expected, `bit ${bit}: ${error.message}`);
    }
  });

  test('each cut is found', async () => {
    const { ciphertext } = await encrypted(secret);
    for (let length = 0; length < ciphertext.length; length++) {
      const error = await errorOf(decrypted(ciphertext.subarray(0, length).toString('base64')));
      assert.equal(error.status, 3, `${length} bytes: ${error.message}`);
    }
  });

  test('and so is anything added to it', async () => {
    const { ciphertext } = await encrypted(secret);
    const error = await errorOf(decrypted(Buffer.concat([ciphertext, Buffer.from('a')])));
    assert.deepEqual([error.code, error.status], ['CannotDecrypt', 3]);
  });

  test('a command that gets one puts nothing out', async () => {
    const { ciphertext } = await encrypted(secret);
    const changed = Buffer.from(ciphertext);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    for (const [stdin, code] of [
      [changed.toString('base64'), 'CannotDecrypt'],
      [ciphertext.subarray(0, 70).toString('base64'), 'CannotDecrypt'],
      [ciphertext.subarray(0, 50).toString('base64'), 'NotCiphertext'],
      ['', 'NotCiphertext'],
      ['\n', 'NotCiphertext'],
      ['this is a secret.', 'NotCiphertext'],
    ] as const) {
      const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'alias/theKey'], {
        stdin,
        env: moto.env,
      });
      assert.deepEqual([failure.status, failure.code], [3, code]);
      assert.doesNotMatch(failure.message, /secret/);
    }
  });

  test('what cannot be a KMS message is not sent there', async () => {
    const note = 'Buy milk, and tell nobody about the password, which is hunter2.';
    const base64 = (await encrypted(secret)).ciphertext.toString('base64');
    proxy.reset();
    const notOne = /This is not an encrypted message, or its beginning is damaged/;
    for (const [input, says] of [
      [randomBytes(6145), notOne],
      [randomBytes(59), notOne],
      [Buffer.from(note).toString('base64'), notOne],
      [Buffer.from(note.repeat(200)).toString('base64'), notOne],
      [note, /unexpected , after 7 characters of base64/],
      [randomBytes(64).toString('hex'), /This is hexadecimal/],
      ['the quick brown fox jumps over the lazy dog '.repeat(5), /spaces as between words/],
      ['lorem ipsum dolor '.repeat(20), /spaces as between words/],
      [Buffer.from(`Ärger: das geheime Passwort ist ${note}`, 'latin1'), /unexpected byte 0xc4/],
      [`\x1b[31m${note} ${note}\x1b[0m`, /unexpected byte 0x1b/],
      [Buffer.from(`${base64}\n`, 'utf16le'), /This is text in UTF-16/],
      [Buffer.from(base64, 'utf16le').swap16(), /This is text in UTF-16/],
      [`\x1b[1m${base64}\x1b[0m`, /unexpected byte 0x1b/],
      ['', /the input is empty/],
    ] as const) {
      const error = await errorOf(decrypted(input, { from: proxied }));
      assert.deepEqual([error.code, error.status], ['NotCiphertext', 3]);
      assert.match(error.message, says);
    }
    assert.equal(proxy.count(), 0);
  });

  test('a paste that a terminal cut off is reported', async () => {
    const { ciphertext } = await encrypted(randomBytes(3600));
    const base64 = ciphertext.toString('base64');
    const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'alias/theKey'], {
      stdin: `${base64.slice(0, 4095)}\n`,
      env: moto.env,
    });
    assert.deepEqual([failure.status, failure.code], [3, 'NotCiphertext']);
    assert.equal(
      failure.message,
      'This message is incomplete: it has 4095 characters, which is where a terminal cuts off a pasted line.',
    );
    assert.match(failure.hint ?? '', /prompt of kms-decrypt.*--in FILE/);
  });
});
