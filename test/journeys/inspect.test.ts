/** `kms-decrypt --inspect`: what a ciphertext is, told by the command without a key or a call. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Inspection } from '../../src/messages/inspect.ts';
import type { MessageInspection } from '../../src/envelope/inspect.ts';
import { maxHeaderBytes } from '../../src/envelope/limits.ts';
import { encryptForeign, layoutOf } from '../envelope/messages.ts';
import { type Finished, run, type Surroundings, temporaryFolder } from '../support/command.ts';
import { checkLine, failureOf } from '../support/failure.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { maxRssMebibytes, tellMaxRss } from '../support/max-rss.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';
import { pythonProgram } from '../support/python.ts';
import { makeRsaPair, type RsaPair } from '../support/rsa-keys.ts';

const secret = 'this is a secret';
const home = temporaryFolder();

type Options = Surroundings & { stdin?: Uint8Array | string };

const inspect = (args: string[], options: Options): Promise<Finished> =>
  run('kms-decrypt', ['--inspect', ...args], options);

/** The description as JSON, for a ciphertext that must be recognized. */
async function described(stdin: Uint8Array | string, options: Options = {}): Promise<Inspection> {
  const { status, stdout, stderr } = await inspect(['--json'], { ...options, stdin });
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout.toString(), /^\{.*\}\n$/);
  return JSON.parse(stdout.toString()) as Inspection;
}

async function describedMessage(
  stdin: Uint8Array | string,
  options: Options = {},
): Promise<MessageInspection> {
  const inspection = await described(stdin, options);
  assert.ok(inspection.format === 'aws-encryption-sdk');
  return inspection;
}

/** The description as text, which has no byte that could control a terminal. */
async function text(stdin: Uint8Array | string): Promise<string> {
  const { status, stdout, stderr } = await inspect([], { stdin });
  assert.deepEqual([status, stderr], [0, '']);
  assert.doesNotMatch(stdout.toString(), /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]/);
  return stdout.toString();
}

async function refused(stdin: Uint8Array | string, code: string, message: RegExp): Promise<void> {
  const failure = await failureOf('kms-decrypt', ['--inspect'], { stdin });
  assert.deepEqual([failure.status, failure.code], [3, code]);
  assert.match(failure.message, message);
}

const encryptLocally = async (
  stdin: Uint8Array | string,
  args: string[] = ['--binary'],
): Promise<Buffer> => {
  const { status, stdout } = await run('kms-encrypt', ['-u', 'alice', '-k', 'local', ...args], {
    stdin,
    home,
  });
  assert.equal(status, 0);
  return stdout;
};

const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

const sized = (bytes: Uint8Array | string): Buffer =>
  Buffer.concat([uint16(Buffer.from(bytes).length), Buffer.from(bytes)]);

/** A header can claim anything: someone who only looks at it can't know better. */
function claimedHeader({
  suite = '020478',
  context = [['user', 'alice']],
  keys = [['kms-poc-local', 'b071']],
  contentType = 2,
  frameLength = 4096,
}: {
  suite?: string;
  context?: [string, string][];
  keys?: [string, string][];
  contentType?: number;
  frameLength?: number;
}): Buffer {
  const pairs = context.map((pair) => Buffer.concat(pair.map(sized)));
  return Buffer.concat([
    Buffer.from(suite, 'hex'),
    Buffer.alloc(32),
    sized(Buffer.concat([uint16(context.length), ...pairs])),
    uint16(keys.length),
    ...keys.map((key) => Buffer.concat([...key, 'wrapped'].map(sized))),
    Buffer.of(contentType),
    uint32(frameLength),
    Buffer.alloc(32 + 16),
  ]);
}

const frame = (sequenceNumber: number, content: Uint8Array): Buffer =>
  Buffer.concat([uint32(sequenceNumber), Buffer.alloc(12), content, Buffer.alloc(16)]);

const lastFrame = (sequenceNumber: number, content: Uint8Array): Buffer =>
  Buffer.concat([
    ...[uint32(0xffffffff), uint32(sequenceNumber), Buffer.alloc(12), uint32(content.length)],
    ...[content, Buffer.alloc(16)],
  ]);

const emptyBody = lastFrame(1, Buffer.alloc(0));

const committing = {
  id: '0x0478',
  name: 'ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY',
  cipher: 'AES-256-GCM',
  keyCommitment: true,
  signed: false,
};

describe('a message under a local key', () => {
  const message = encryptLocally(secret);

  test('as JSON', async () => {
    const bytes = await message;
    const { header } = layoutOf(bytes);
    assert.deepEqual(await described(bytes), {
      format: 'aws-encryption-sdk',
      bytes: bytes.length,
      version: 2,
      algorithm: committing,
      encryptionContext: { user: 'alice' },
      keys: [{ providerId: 'kms-poc-local', name: header.encryptedDataKeys[0]?.keyName }],
      headerBytes: header.headerLength,
      framed: true,
      frameLength: 2 ** 20,
      frames: 1,
      plaintextBytes: 16,
      refusals: [],
      verified: false,
    });
  });

  test('as a text', async () => {
    const bytes = await message;
    const { header } = layoutOf(bytes);
    assert.equal(
      await text(bytes),
      `format      AWS Encryption SDK message, version 2
algorithm   ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY
            AES-256-GCM, suite 0x0478
            with key commitment: no other data key opens it
            not signed: anyone who can decrypt it could have written it
context     user = alice
opens with  local key ${header.encryptedDataKeys[0]?.keyName ?? ''}
plaintext   16 bytes, in 1 frame of at most 1,048,576
ciphertext  ${bytes.length} bytes, ${header.headerLength} of them header

This is what the message says about itself. Only decrypting it verifies that.
`,
    );
  });

  test('is the same as bytes, base64, pasted, and in JSON, from a pipe or a file', async () => {
    const bytes = await message;
    const expected = await described(bytes);
    const base64 = bytes.toString('base64');
    const wrapped = base64.replace(/.{64}/g, '$&\r\n');
    for (const input of [
      base64,
      `"${wrapped}"\n`,
      bytes.toString('base64url'),
      JSON.stringify({ CiphertextBlob: base64, KeyId: 'arn' }),
      JSON.stringify({ user: 'alice', ciphertext: base64 }),
    ]) {
      assert.deepEqual(await described(input), expected);
    }
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'x.enc'), bytes);
    for (const args of [
      ['-i', 'x.enc'],
      ['--in=x.enc', '-q', '--hide'],
    ]) {
      const { stdout } = await inspect(['--json', ...args], { cwd });
      assert.deepEqual(JSON.parse(stdout.toString()), expected);
    }
  });

  test('goes to a file like everything else, but never over its own input', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'x.enc'), await message);
    const { status, stdout } = await inspect(['-i', 'x.enc', '-o', 'about.txt'], { cwd });
    assert.deepEqual([status, stdout.length], [0, 0]);
    assert.equal(readFileSync(join(cwd, 'about.txt'), 'utf8'), await text(await message));
    assert.equal(statSync(join(cwd, 'about.txt')).mode & 0o777, 0o600);

    const same = await failureOf('kms-decrypt', ['--inspect', '-i', 'x.enc', '-o', 'x.enc'], {
      cwd,
    });
    assert.deepEqual([same.status, same.code], [2, 'Usage']);
    assert.deepEqual(readFileSync(join(cwd, 'x.enc')), await message);
  });

  test('with no bytes, and with several frames', async () => {
    for (const [length, frames] of [
      [0, 1],
      [2 ** 20 - 1, 1],
      [2 ** 20, 2],
      [3 * 2 ** 20 + 5, 4],
    ] as const) {
      const bytes = await encryptLocally(randomBytes(length));
      const inspection = await describedMessage(bytes);
      assert.deepEqual(
        [inspection.plaintextBytes, inspection.frames, inspection.bytes],
        [length, frames, bytes.length],
      );
    }
  });
});

describe('with AWS KMS', () => {
  let moto: Moto;
  let proxy: FaultProxy;
  let key: TestKey;
  let rsa: RsaPair;
  const cwd = temporaryFolder();
  before(async () => {
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
    moto = await startMoto();
    proxy = await startFaultProxy({ target: moto.endpoint });
    key = await moto.createKey({ alias: 'theKey' });
    rsa = makeRsaPair(cwd, 'backup');
  });
  after(async () => {
    await proxy.stop();
    await moto.stop();
  });

  const encrypt = async (
    args: string[] = [],
    env: Record<string, string> = {},
  ): Promise<Buffer> => {
    const { status, stdout } = await run(
      'kms-encrypt',
      ['-u', 'alice', '-k', 'alias/theKey', ...args],
      { stdin: secret, cwd, env: { ...moto.env, ...env } },
    );
    assert.equal(status, 0);
    return stdout;
  };

  test('each key that can open a message is named', async () => {
    const message = await encrypt([], { BACKUP_KEYS: `rsa:${rsa.publicFile}` });
    const { keys } = await describedMessage(message);
    assert.deepEqual(keys, [
      { providerId: 'aws-kms', name: key.keyArn },
      { providerId: 'kms-poc-rsa', name: rsa.fingerprint },
    ]);
    const shown = await text(message);
    assert.ok(shown.includes(`opens with\n  ${key.keyArn}\n  RSA key ${rsa.fingerprint}\n`), shown);
  });

  test('about a blob it says no more than can be known', async () => {
    const blob = await encrypt(['--binary']);
    assert.deepEqual(await described(blob), { format: 'kms', bytes: blob.length, verified: false });
    assert.equal(
      await text(blob),
      `format      AWS KMS blob (presumably)
ciphertext  ${blob.length} bytes

It is not an AWS Encryption SDK message, so it is assumed to be an AWS KMS
blob. AWS does not publish that format: only KMS can tell whether it is one,
and which key and user it belongs to.
`,
    );
  });

  test('no call is made and no setting is read, though all are set, and wrong', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, '.env')); // reading it fails
    const surroundings = {
      cwd: folder,
      env: {
        ...moto.env,
        AWS_ENDPOINT_URL: proxy.endpoint,
        AWS_ENDPOINT_URL_KMS: 'not an address',
        KEY_ID: 'not a key',
        DECRYPT_KEYS: 'alias/theKey',
        USERS: 'not, a list of/names',
        DECRYPTOR_AWS_ACCESS_KEY_ID: 'half a pair',
      },
    };
    const withBackup = await encrypt([], { BACKUP_KEYS: `rsa:${rsa.publicFile}` });
    for (const ciphertext of [withBackup, await encrypt()]) {
      await described(ciphertext, surroundings);
    }
    assert.equal(proxy.count(), 0);
    const decrypting = await failureOf('kms-decrypt', ['-u', 'alice'], {
      stdin: withBackup,
      ...surroundings,
    });
    assert.equal(decrypting.status, 2, 'they are wrong');
  });
});

describe('a message from another tool', () => {
  /** Written by AWS's Encryption SDK for Python, under a raw key. */
  const byPython = async (jobs: object[]): Promise<Buffer[]> => {
    const request = {
      key: randomBytes(32).toString('base64'),
      namespace: 'acme-hsm',
      name: 'key-7',
      jobs: jobs.map((job) => ({ plaintext: randomBytes(5000).toString('base64'), ...job })),
    };
    const script = join(import.meta.dirname, '..', 'envelope', 'encryption_sdk.py');
    const { status, stdout, stderr } = await run(pythonProgram('python'), [script], {
      stdin: JSON.stringify(request),
      timeoutMs: 60_000,
    });
    assert.equal(status, 0, stderr);
    const answers = JSON.parse(stdout.toString()) as { ciphertext: string }[];
    return answers.map(({ ciphertext }) => Buffer.from(ciphertext, 'base64'));
  };

  test('signed, with other frames, keys and context', async () => {
    const [signed, unframed] = await byPython([
      {
        context: { user: 'alice', purpose: 'nightly backup' },
        suite: 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384',
        frameLength: 1024,
      },
      {
        context: {},
        suite: 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY',
        frameLength: 0,
      },
    ]);
    assert.ok(signed && unframed);
    const inspection = await describedMessage(signed);
    assert.deepEqual(inspection.algorithm, {
      ...committing,
      id: '0x0578',
      name: 'ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384',
      signed: true,
    });
    const { 'aws-crypto-public-key': publicKey, ...context } = inspection.encryptionContext;
    assert.match(publicKey ?? '', /^[A-Za-z0-9+/]{60,}=*$/);
    assert.deepEqual(context, { user: 'alice', purpose: 'nightly backup' });
    assert.deepEqual(inspection.keys, [{ providerId: 'acme-hsm', name: 'key-7' }]);
    assert.deepEqual(
      [inspection.frameLength, inspection.frames, inspection.plaintextBytes, inspection.bytes],
      [1024, 5, 5000, signed.length],
    );
    assert.deepEqual(
      inspection.refusals.map(({ code, message }) => ({ code, message })),
      [
        {
          code: 'WrongUser',
          message:
            'This message is for alice, but its encryption context contains more than the user.',
        },
      ],
    );
    const shown = await text(signed);
    for (const line of [
      /^ +signed: someone who can only decrypt can't have written it$/m,
      /^ +purpose = "nightly backup"\n +user = alice$/m,
      /^opens with {2}key-7 of acme-hsm$/m,
      /^plaintext {3}5,000 bytes, in 5 frames of at most 1,024$/m,
      /^kms-decrypt refuses it: This message is for alice, but/m,
    ]) {
      assert.match(shown, line);
    }

    const withoutFrames = await describedMessage(unframed);
    const { framed, frames, plaintextBytes, refusals } = withoutFrames;
    assert.deepEqual([framed, frames, plaintextBytes], [false, 1, 5000]);
    assert.deepEqual(
      refusals.map(({ code }) => code),
      ['WrongUser'],
    );
    assert.match(
      await text(unframed),
      /^context {5}empty$[^]*^plaintext {3}5,000 bytes, without frames$/m,
    );
  });

  test('without key commitment, which kms-decrypt does not read', async () => {
    for (const [suite, id, cipher, signed] of [
      ['ALG_AES128_GCM_IV12_TAG16', '0x0014', 'AES-128-GCM', false],
      ['ALG_AES256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384', '0x0378', 'AES-256-GCM', true],
    ] as const) {
      const message = await encryptForeign(Buffer.from(secret), { suite });
      const inspection = await describedMessage(message);
      assert.deepEqual(
        [inspection.version, inspection.algorithm],
        [1, { id, name: suite, cipher, keyCommitment: false, signed }],
      );
      assert.equal(inspection.plaintextBytes, 16);
      const decrypting = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'local'], {
        stdin: message,
      });
      const { code, message: refusal, hint } = decrypting;
      assert.deepEqual(inspection.refusals, [{ code, message: refusal, hint }]);
      assert.match(
        await text(message),
        /^ +without key commitment: a different[^]*^kms-decrypt refuses it: This message has no key commitment/m,
      );
    }
  });
});

describe('a hostile header', () => {
  const hostile = '\x1b[2J\x1b]0;owned\x07\u009b31m\u202eevil\r\nopens with  me\tx';

  test('controls no terminal and adds no lines, and JSON has it exactly', async () => {
    const message = Buffer.concat([
      claimedHeader({
        context: [
          ['user', hostile],
          [hostile, 'x'],
          ['__proto__', 'polluted'],
        ],
        keys: [
          ['aws-kms', hostile],
          [hostile, hostile],
          ['kms-poc-rsa', 'a b'],
          ['kms-poc-local', 'ö'.repeat(300)],
        ],
      }),
      emptyBody,
    ]);
    const shown = await text(message);
    assert.equal(shown.match(/^opens with/gm)?.length, 1, shown);
    assert.match(shown, /user = "\\u001b\[2J\\u001b\]0;owned\\u0007\\u009b31m\\u202eevil\\r\\n/);
    assert.match(shown, /__proto__ = polluted/);
    assert.match(shown, /RSA key "a b"\n/);
    assert.match(shown, /"ö{128}"…\s+\(300 characters\)\n/);
    assert.match(
      shown,
      /kms-decrypt\s+refuses it: This message is for a user whose name --user does not\s+accept\./,
    );

    const { stdout } = await inspect(['--json'], { stdin: message });
    assert.match(stdout.toString(), /^[\x20-\x7e\xf6]+\n$/);
    const parsed = JSON.parse(stdout.toString()) as MessageInspection;
    assert.deepEqual(Object.entries(parsed.encryptionContext), [
      ['user', hostile],
      [hostile, 'x'],
      ['__proto__', 'polluted'],
    ]);
    assert.deepEqual(parsed.keys[1], { providerId: hostile, name: hostile });
    for (const { message: refusal } of parsed.refusals) checkLine(refusal);
  });

  test('with a crowd of entries: the text shows some, JSON all', async () => {
    const context = Array.from({ length: 3000 }, (_, index): [string, string] => [
      `k${index}`,
      'v',
    ]);
    const message = Buffer.concat([claimedHeader({ context }), emptyBody]);
    const shown = await text(message);
    assert.match(shown, /^ +k15 = v\n +and 2,984 more: see --json\nopens with/m);
    const { encryptionContext } = await describedMessage(message);
    assert.equal(Object.keys(encryptionContext).length, 3000);
  });

  test('whose claims are absurd', async () => {
    // Sparse files: zeros for the content, the tag and a signature of 0 bytes.
    const cwd = temporaryFolder();
    const length = 2 ** 28;
    const sparse = (name: string, header: Buffer, body: Buffer): void => {
      const start = Buffer.concat([header, body, uint32(length)]);
      const file = openSync(join(cwd, name), 'w');
      writeSync(file, start);
      ftruncateSync(file, start.length + length + 16 + (name === 'signed' ? 2 : 0));
      closeSync(file);
    };
    const frameStart = lastFrame(1, Buffer.alloc(0)).subarray(0, 20);
    const blockStart = Buffer.alloc(12 + 4);
    const unframed = { contentType: 1, frameLength: 0 };
    sparse('frames', claimedHeader({ frameLength: 0xffffffff }), frameStart);
    sparse('block', claimedHeader(unframed), blockStart);
    sparse('signed', claimedHeader({ ...unframed, suite: '020578' }), blockStart);
    for (const [name, refusal] of [
      ['frames', /frames of 4294967295 bytes/],
      ['block', /has 268435456 bytes without frames/],
      ['signed', /has 268435456 bytes without frames/],
    ] as const) {
      const args = ['--json', '-i', name];
      const { status, stdout, stderr } = await inspect(args, { cwd, env: tellMaxRss });
      assert.equal(status, 0, stderr);
      const { plaintextBytes, refusals } = JSON.parse(stdout.toString()) as MessageInspection;
      assert.equal(plaintextBytes, length);
      assert.equal(refusals.length, 1);
      assert.equal(refusals[0]?.code, 'Unsupported');
      assert.match(refusals[0].message, refusal);
      assert.ok(maxRssMebibytes(stderr) < 150, stderr);
    }
  });

  test('signed and too long to be decrypted into a pipe', async () => {
    const mebibyte = 2 ** 20;
    const content = Buffer.alloc(mebibyte);
    const message = Buffer.concat([
      claimedHeader({ suite: '020578', frameLength: mebibyte }),
      ...Array.from({ length: 64 }, (_, index) => frame(index + 1, content)),
      lastFrame(65, Buffer.of(1)),
      sized('signature'),
    ]);
    const shown = await text(message);
    assert.match(shown, /^plaintext {3}67,108,865 bytes, in 65 frames of at most 1,048,576$/m);
    assert.match(shown, /^Signed and longer than 64 MiB: kms-decrypt needs --out for it\.$/m);
  });

  test('beyond the limits for every header', async () => {
    const keys = Array.from({ length: 17 }, (_, index): [string, string] => ['x', `${index}`]);
    await refused(
      Buffer.concat([claimedHeader({ keys }), emptyBody]),
      'Unsupported',
      /more than 16 keys/,
    );
    const long = Buffer.alloc(maxHeaderBytes / 2, 'x').toString();
    await refused(
      Buffer.concat([claimedHeader({ context: [['user', long]], keys: [['x', long]] }), emptyBody]),
      'Unsupported',
      /header of this message is longer than the limit of 64 KiB/,
    );
  });
});

describe('an incomplete ciphertext is an error, and nothing is described', () => {
  test('truncated anywhere', async () => {
    const message = await encryptLocally(randomBytes(2 ** 20 + 100));
    const { fields, frames } = layoutOf(message);
    const cuts = [
      ...Object.values(fields).map(([, end]) => end - 1),
      ...frames.flatMap(({ start, content, tag, end }) => [start, content, tag, end - 1]),
    ].filter((length) => length > 2);
    for (const length of new Set(cuts)) {
      await refused(message.subarray(0, length), 'NotCiphertext', /is truncated/);
    }
    await refused(message.subarray(0, 2), 'NotCiphertext', /beginning is damaged/);
    await refused(message.subarray(0, -1).toString('base64'), 'NotCiphertext', /is truncated/);
    await refused(
      message.toString('base64').slice(0, 4095),
      'NotCiphertext',
      /4095 characters, which is where a terminal cuts/,
    );
  });

  test('with more after its end', async () => {
    const message = await encryptLocally(secret);
    const signed = await encryptForeign(Buffer.from(secret));
    for (const more of [Buffer.alloc(1), message]) {
      for (const whole of [message, signed]) {
        await refused(Buffer.concat([whole, more]), 'NotCiphertext', /There is more after the end/);
      }
    }
    await refused(signed.subarray(0, -1), 'NotCiphertext', /is truncated/);
  });

  test('with a damaged header or invalid frames', async () => {
    const header = claimedHeader({});
    const damaged = Buffer.from(header);
    damaged.writeUInt16BE(1, 35); // the context's length
    await refused(Buffer.concat([damaged, emptyBody]), 'NotCiphertext', /header .* is damaged/);
    await refused(
      Buffer.concat([claimedHeader({ keys: [] }), emptyBody]),
      'NotCiphertext',
      /header .* is damaged/,
    );
    await refused(Buffer.from('018099', 'hex'), 'NotCiphertext', /is truncated/);

    const content = Buffer.alloc(4096);
    for (const body of [
      Buffer.concat([frame(1, content), frame(3, content), lastFrame(3, content)]),
      Buffer.concat([frame(1, content), lastFrame(1, content)]),
      lastFrame(1, Buffer.alloc(4097)),
      frame(0, content),
    ]) {
      await refused(Buffer.concat([header, body]), 'CannotDecrypt', /changed or damaged/);
    }
    await refused(
      Buffer.concat([claimedHeader({ contentType: 7 }), emptyBody]),
      'CannotDecrypt',
      /changed or damaged/,
    );
    await refused(
      Buffer.concat([claimedHeader({ contentType: 1 }), Buffer.alloc(12), Buffer.alloc(8, 0xff)]),
      'CannotDecrypt',
      /changed or damaged/,
    );
  });

  test('nothing, text, or more than a KMS blob can be', async () => {
    await refused('', 'NotCiphertext', /input is empty/);
    await refused('{"message":"x"}', 'NotCiphertext', /without a CiphertextBlob/);
    await refused(
      'this is a secret!',
      'NotCiphertext',
      /unexpected ! after 13 characters of base64/,
    );
    await refused(
      randomBytes(6145).fill(0xff, 0, 3),
      'NotCiphertext',
      /This is not an encrypted message, or/,
    );
  });

  test('and the output file stays as it was', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'about.txt'), 'before');
    const failure = await failureOf('kms-decrypt', ['--inspect', '-o', 'about.txt'], {
      stdin: (await encryptLocally(secret)).subarray(0, -1),
      cwd,
    });
    assert.equal(failure.status, 3);
    assert.equal(readFileSync(join(cwd, 'about.txt'), 'utf8'), 'before');
  });
});

test('options that an inspection would ignore are refused', async () => {
  for (const args of [
    ['--user', 'alice'],
    ['--key', 'local'],
    ['--batch'],
    ['--region', 'eu-central-1'],
    ['--profile', 'p'],
    ['--env-file', 'e'],
  ]) {
    const failure = await failureOf('kms-decrypt', ['--inspect', ...args]);
    assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
    assert.equal(failure.message, `--inspect can't be combined with ${args[0] ?? ''}.`);
  }
});

describe('on a terminal of 40 columns', () => {
  test('it asks for the message, and its output reads well', async () => {
    const base64 = (await encryptLocally(secret)).toString('base64');
    const terminal = startOnTerminal('kms-decrypt', ['--inspect'], { columns: 40 });
    await terminal.waitFor('Please enter the message to inspect: ');
    terminal.write(`\x1b[200~${base64}\x1b[201~`);
    terminal.write('\r');
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    const screen = await terminal.screen();
    const described = screen.slice(screen.indexOf('format '));
    assert.match(
      described,
      new RegExp(
        `^format      AWS Encryption SDK message,
              version 2
algorithm   ALG_AES256_GCM_IV12_TAG16_
              HKDF_SHA512_COMMIT_KEY
            AES-256-GCM, suite 0x0478
            with key commitment: no
              other data key opens it
            not signed: anyone who can
              decrypt it could have
              written it
context     user = alice
opens with  local key [0-9a-f]{16}
plaintext   16 bytes, in 1 frame of at
              most 1,048,576
ciphertext  266 bytes, 210 of them
              header

This is what the message says about
itself. Only decrypting it verifies
that\\.$`,
      ),
    );
  });

  test('an ARN stays in one piece, to be copied, and JSON of a hostile header controls nothing', async () => {
    const cwd = temporaryFolder();
    const arn = `arn:aws:kms:eu-central-1:111122223333:key/${'1234abcd-'.repeat(4)}`;
    writeFileSync(
      join(cwd, 'x.enc'),
      Buffer.concat([
        claimedHeader({ context: [['user', '\u009b31m\x7f\u202e']], keys: [['aws-kms', arn]] }),
        emptyBody,
      ]),
    );
    for (const args of [[], ['--json']]) {
      const terminal = startOnTerminal('kms-decrypt', ['--inspect', '-i', 'x.enc', ...args], {
        columns: 40,
        cwd,
      });
      assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
      assert.match(terminal.output(), /^[\x20-\x7e\r\n]+$/);
      assert.ok(terminal.output().includes(arn), terminal.output());
    }
  });

  test('Ctrl-C at the prompt', async () => {
    const terminal = startOnTerminal('kms-decrypt', ['--inspect'], { columns: 40 });
    await terminal.waitFor('to inspect: ');
    terminal.write('\x03');
    assert.equal((await terminal.exit()).status, 130);
  });
});
