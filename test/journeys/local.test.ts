/** Messages under a local key: what this program writes, what it reads, and what it refuses. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { decrypt } from '../../src/messages/decrypt.ts';
import { encrypt } from '../../src/messages/encrypt.ts';
import { defaultFrameLength } from '../../src/envelope/limits.ts';
import { KmsPocError } from '../../src/errors.ts';
import { encodeBase64 } from '../../src/formats/base64.ts';
import { openEncryptionKey } from '../../src/keys/encryption-keys.ts';
import { makeLocalKey } from '../../src/keys/local-key.ts';
import { inPieces, collect, type Outcome, outcomeOf } from '../support/bytes.ts';
import { type Finished, run, temporaryFolder } from '../support/command.ts';
import { checkLine, failureOf } from '../support/failure.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { testKeySources } from '../support/key-sources.ts';
import { pythonProgram } from '../support/python.ts';

const secret = 'this is a secret';
const localKeyFile = join(temporaryFolder(), 'local.key');
// KMS refuses every connection: what works here works without it.
const sources = testKeySources({ localKeyFile });
const key = { kind: 'local', file: undefined } as const;

async function encrypted(plaintext: Uint8Array | string, user = 'alice'): Promise<Buffer> {
  const opened = await openEncryptionKey(key, sources);
  const { ciphertext } = await encrypt(
    user,
    [opened],
    inPieces(Buffer.from(plaintext), [1000]),
    false,
  );
  return collect(ciphertext);
}

/** @returns what came out, even before an error */
async function decrypted(input: Uint8Array | string, user = 'alice'): Promise<Outcome> {
  try {
    const { plaintext } = await decrypt(
      { user, keys: [key], sources, requireSigned: false, outputHeldUntilEnd: false },
      inPieces(Buffer.from(input)),
    );
    return await outcomeOf(plaintext);
  } catch (error) {
    return { output: Buffer.alloc(0), error };
  }
}

async function plaintextOf(input: Uint8Array | string, user = 'alice'): Promise<Buffer> {
  const { output, error } = await decrypted(input, user);
  assert.ifError(error);
  return output;
}

/** A message that must not open: status 3, and none of it comes out. */
async function refusalOf(input: Uint8Array | string, why: string): Promise<KmsPocError> {
  const { output, error } = await decrypted(input);
  assert.ok(error instanceof KmsPocError, `${why}: ${String(error)}`);
  assert.equal(error.status, 3, `${why}: ${error.message}`);
  assert.equal(output.length, 0, why);
  checkLine(error.message);
  return error;
}

const runFor = (
  command: 'kms-encrypt' | 'kms-decrypt',
  user: string,
  stdin: Uint8Array | string,
  { args = [], home }: { args?: string[]; home: string },
): Promise<Finished> => run(command, ['-q', '-u', user, '-k', 'local', ...args], { stdin, home });

describe("the article's pair, without an AWS account", () => {
  test('alice gets it back, bob does not', async () => {
    const home = temporaryFolder();
    const message = await runFor('kms-encrypt', 'alice', secret, { home });
    assert.equal(message.status, 0);
    assert.match(message.stdout.toString(), /^[A-Za-z0-9+/]+={0,2}\n$/);
    const forAlice = await runFor('kms-decrypt', 'alice', message.stdout, { home });
    assert.deepEqual([forAlice.status, forAlice.stdout.toString()], [0, secret]);
    assert.equal(forAlice.stderr, '');
    const forBob = await failureOf('kms-decrypt', ['-u', 'bob', '-k', 'local'], {
      stdin: message.stdout,
      home,
    });
    assert.deepEqual(forBob, {
      status: 3,
      code: 'WrongUser',
      message: 'This message is for alice, not for bob.',
      hint: 'Only the user a message was encrypted for can decrypt it.',
      notices: [],
    });
  });

  test('--json and --binary', async () => {
    const home = temporaryFolder();
    const { stdout: json } = await runFor('kms-encrypt', 'bob', 'ä\n', { home, args: ['--json'] });
    const {
      ciphertext,
      key: keyName,
      ...rest
    } = JSON.parse(json.toString()) as Record<string, string>;
    assert.deepEqual(rest, { user: 'bob', keys: [keyName], format: 'aws-encryption-sdk' });
    assert.match(keyName ?? '', /^local key [0-9a-f]{16}$/);
    assert.match(ciphertext ?? '', /^[A-Za-z0-9+/]+={0,2}$/);
    const opened = await runFor('kms-decrypt', 'bob', json, { home, args: ['--json'] });
    assert.deepEqual(JSON.parse(opened.stdout.toString()), {
      user: 'bob',
      message: 'ä\n',
      key: keyName,
      format: 'aws-encryption-sdk',
    });

    const { stdout: bytes } = await runFor('kms-encrypt', 'bob', secret, {
      home,
      args: ['--binary'],
    });
    assert.deepEqual(bytes.subarray(0, 3), Buffer.from('020478', 'hex'));
    const { stdout } = await runFor('kms-decrypt', 'bob', bytes, { home });
    assert.equal(stdout.toString(), secret);
  });

  test('bytes are exact through both commands, even 3 MiB of them', async () => {
    const home = temporaryFolder();
    await runFor('kms-encrypt', 'alice', 'x', { home }); // creates the key
    for (const plaintext of [
      Buffer.alloc(0),
      Buffer.from('\0\r\n👩‍👩‍👧‍👦\n\n'),
      Buffer.from([0xff, 0xfe, 0x0a]),
      randomBytes(3 * 2 ** 20 + 1),
    ]) {
      const message = await runFor('kms-encrypt', 'alice', plaintext, { home });
      const { status, stdout } = await runFor('kms-decrypt', 'alice', message.stdout, { home });
      assert.equal(status, 0);
      assert.ok(stdout.equals(plaintext));
      assert.doesNotMatch(message.stdout.toString().slice(0, -1), /\n/, 'base64 on one line');
    }
  });
});

test('any bytes, for any allowed user', async () => {
  const user = fc.stringMatching(/^[A-Za-z0-9._@+-]{1,64}$/);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 10_000 }), user, async (bytes, to) => {
      const ciphertext = await encrypted(bytes, to);
      assert.ok((await plaintextOf(ciphertext, to)).equals(bytes));
      assert.ok((await plaintextOf(ciphertext.toString('base64'), to)).equals(bytes));
    }),
    { numRuns: 50 },
  );
});

test('lengths around every edge, in bytes and base64', async () => {
  const frame = defaultFrameLength;
  const edges = [1, 4095, 4096, 4097, frame - 1, frame, frame + 1, 2 * frame, 3 * frame + 2];
  for (const length of [0, ...edges]) {
    const plaintext = randomBytes(length);
    const ciphertext = await encrypted(plaintext);
    const base64 = await collect(encodeBase64(inPieces(ciphertext, [65_537, 1])));
    assert.ok((await plaintextOf(ciphertext)).equals(plaintext), `${length} bytes`);
    assert.ok((await plaintextOf(base64)).equals(plaintext), `${length} bytes in base64`);
  }
});

describe('a message that was changed', () => {
  test('each flipped bit is found, with nothing out', async () => {
    const ciphertext = await encrypted('!');
    for (let bit = 0; bit < ciphertext.length * 8; bit++) {
      const changed = Buffer.from(ciphertext);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await refusalOf(changed.toString('base64'), `bit ${bit}`);
    }
  });

  test('each cut is found, with nothing out', async () => {
    const ciphertext = await encrypted('!');
    for (let length = 0; length < ciphertext.length; length++) {
      await refusalOf(ciphertext.subarray(0, length), `${length} bytes`);
      await refusalOf(ciphertext.subarray(0, length).toString('base64'), `${length} in base64`);
    }
  });

  test('each cut of its base64 is found, with nothing out', async () => {
    const base64 = (await encrypted(secret)).toString('base64').replace(/=+$/, '');
    for (let length = 0; length < base64.length; length++) {
      await refusalOf(base64.slice(0, length), `${length} letters`);
    }
  });

  test('and so is anything added to it', async () => {
    const ciphertext = await encrypted('!');
    const { error } = await decrypted(Buffer.concat([ciphertext, Buffer.from('a')]));
    assert.ok(error instanceof KmsPocError);
    assert.equal(error.status, 3);
  });

  test('a command that gets one puts nothing out', async () => {
    const home = temporaryFolder();
    const { stdout } = await runFor('kms-encrypt', 'alice', secret, { home });
    const bytes = Buffer.from(stdout.toString(), 'base64');
    const flipped = Buffer.from(bytes);
    flipped[flipped.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    for (const [stdin, code] of [
      [flipped, 'CannotDecrypt'],
      [bytes.subarray(0, -1), 'NotCiphertext'],
      [bytes.subarray(0, 2), 'NotCiphertext'],
    ] as const) {
      const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'local'], {
        stdin,
        home,
      });
      assert.deepEqual([failure.status, failure.code], [3, code]);
      assert.notEqual(failure.hint, undefined);
    }
  });

  test('a paste that a terminal cut off is reported', async () => {
    const home = temporaryFolder();
    const { stdout } = await runFor('kms-encrypt', 'alice', randomBytes(4000), { home });
    // Where Linux cuts lines off, and where macOS does, which can't be told from base64 alone.
    for (const [characters, said] of [
      [4095, /it has 4095 characters, which is where a terminal cuts/],
      [1024, /The ciphertext is truncated/],
    ] as const) {
      const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'local'], {
        stdin: stdout.subarray(0, characters),
        home,
      });
      assert.deepEqual([failure.status, failure.code], [3, 'NotCiphertext']);
      assert.match(failure.message, said);
    }
  });
});

describe('the wrong key', () => {
  test('is status 3, and both keys are named by their fingerprints, ours by its file too', async () => {
    const cwd = temporaryFolder();
    const [one, two] = await Promise.all([
      makeLocalKey(join(cwd, 'one.key')),
      makeLocalKey(join(cwd, 'two.key')),
    ]);
    const { stdout } = await run('kms-encrypt', ['-u', 'alice', '-k', 'local:one.key'], {
      stdin: secret,
      cwd,
    });
    const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'local:two.key'], {
      stdin: stdout,
      cwd,
      env: { DECRYPT_KEYS: 'local:two.key' }, // named twice, told once
    });
    assert.deepEqual([failure.status, failure.code], [3, 'WrongKey']);
    assert.equal(
      failure.message,
      `This message opens with local key ${one.fingerprint}, not with the local key two.key (local key ${two.fingerprint}).`,
    );
    assert.match(failure.hint ?? '', /--key.*DECRYPT_KEYS/);

    // And DECRYPT_KEYS helps, though it is not the first.
    const opened = await run('kms-decrypt', ['-u', 'alice', '-k', 'local:two.key'], {
      stdin: stdout,
      cwd,
      env: { DECRYPT_KEYS: 'local:one.key' },
    });
    assert.deepEqual([opened.status, opened.stdout.toString()], [0, secret]);
    assert.match(opened.stderr, new RegExp(one.fingerprint));
  });

  test('a KMS key for a message under a local one', async () => {
    const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'alias/theKey'], {
      stdin: await encrypted(secret),
    });
    assert.deepEqual([failure.status, failure.code], [3, 'WrongKey']);
    assert.match(failure.message, / local key [0-9a-f]{16}, not with alias\/theKey\.$/);
  });
});

describe('without AWS', () => {
  let proxy: FaultProxy;
  before(async () => {
    proxy = await startFaultProxy();
  });
  beforeEach(() => {
    proxy.reset();
  });
  after(() => proxy.stop());

  test('no call is made, though everything is set up for one, not even for the wrong user', async () => {
    const home = temporaryFolder();
    const env = {
      AWS_ENDPOINT_URL: proxy.endpoint,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'any',
      DECRYPT_KEYS: 'alias/theKey',
    };
    const args = ['-u', 'alice', '-k', 'local'];
    const message = await run('kms-encrypt', args, { stdin: secret, home, env });
    const opened = await run('kms-decrypt', args, { stdin: message.stdout, home, env });
    const wrongUser = await run('kms-decrypt', ['-u', 'bob', '-k', 'alias/theKey'], {
      stdin: message.stdout,
      home,
      env,
    });
    assert.equal(opened.stdout.toString(), secret);
    assert.equal(wrongUser.status, 3);
    assert.equal(proxy.count(), 0);
  });

  test('the AWS SDK for KMS is not even loaded', async () => {
    // A copy of the built commands without the files that contain any part of the client.
    const folder = temporaryFolder();
    cpSync(join(import.meta.dirname, '..', '..', 'dist'), folder, { recursive: true });
    const bundle = join(folder, 'parts');
    const parts = readdirSync(bundle)
      .map((name) => join(bundle, name))
      .filter((file) => /TrentService|CredentialsProviderError/.test(readFileSync(file, 'utf8')));
    assert.ok(parts.length > 0);
    for (const file of parts) unlinkSync(file);

    const home = temporaryFolder();
    const runCopy = (command: string, keyName: string, stdin: string | Buffer): Promise<Finished> =>
      run(process.execPath, [join(folder, `${command}.js`), '-u', 'alice', '-k', keyName], {
        stdin,
        home,
        env: { AWS_REGION: 'eu-central-1' },
      });
    const message = await runCopy('kms-encrypt', 'local', secret);
    assert.equal(message.status, 0, message.stderr);
    const opened = await runCopy('kms-decrypt', 'local', message.stdout);
    assert.deepEqual([opened.status, opened.stdout.toString()], [0, secret]);
    // It can't work with KMS, which shows that the client was really removed.
    assert.equal((await runCopy('kms-encrypt', 'alias/theKey', secret)).status, 1);
  });
});

test("AWS's Encryption SDK for Python reads what the local key wrote", async () => {
  const { fingerprint, keyBytes } = await makeLocalKey(localKeyFile);
  const request = {
    key: Buffer.from(keyBytes).toString('base64'),
    namespace: 'kms-poc-local',
    name: fingerprint,
    jobs: [{ ciphertext: (await encrypted(secret)).toString('base64') }],
  };
  const script = join(import.meta.dirname, '..', 'envelope', 'encryption_sdk.py');
  const { stdout, stderr } = await run(pythonProgram('python'), [script], {
    stdin: JSON.stringify(request),
  });
  assert.equal(stderr, '');
  assert.deepEqual(JSON.parse(stdout.toString()), [
    { plaintext: Buffer.from(secret).toString('base64'), context: { user: 'alice' } },
  ]);
});
