/**
 * `--sign` and `--require-signed`: who may only decrypt can write another message under the same data
 * key, unless messages are signed.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import {
  EncryptedDataKey,
  type KeyringTrace,
  KeyringTraceFlag,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
} from '@aws-crypto/material-management-node';

import { suiteFor } from '../../src/envelope/encrypt.ts';
import { parseHeader } from '../../src/envelope/header.ts';
import { unwrapDataKey } from '../../src/envelope/unwrap.ts';
import { encryptWhole } from '../../src/envelope/whole-message.ts';
import { kmsWrappingKey } from '../../src/envelope/kms-wrapping-key.ts';
import { openedKey } from '../envelope/messages.ts';
import { type Environment, run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { testKeySources } from '../support/key-sources.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';

let moto: Moto;
let proxy: FaultProxy;
let key: TestKey;
before(async () => {
  moto = await startMoto();
  key = await moto.createKey({ alias: 'theKey' });
  proxy = await startFaultProxy({ target: moto.endpoint });
});
beforeEach(() => {
  proxy.reset();
});
after(async () => {
  await proxy.stop();
  await moto.stop();
});

const home = temporaryFolder();
const aws = (more: Environment = {}): { env: Environment; home: string } => ({
  env: { ...moto.env, AWS_ENDPOINT_URL: proxy.endpoint, KEY_ID: key.keyArn, ...more },
  home,
});
const forAlice = ['-q', '-u', 'alice'];
const signedSuite = 0x0578;
const suiteOf = (message: Buffer): number | undefined => parseHeader(message)?.suiteId;

async function encrypt(
  args: string[],
  stdin: string | Uint8Array,
  more: Environment = {},
): Promise<Buffer> {
  const options = { ...aws(more), stdin };
  const { status, stdout, stderr } = await run('kms-encrypt', [...forAlice, ...args], options);
  assert.equal(status, 0, stderr);
  return stdout;
}

const traceOf = (flags: KeyringTraceFlag): KeyringTrace => ({
  ...{ keyNamespace: 'k', keyName: 'k', flags },
});

/** What whoever may decrypt a message can do: take its data key, and write another under it. */
async function forge(message: Buffer, plaintext: string): Promise<Buffer> {
  const kms = await testKeySources({ endpoint: moto.endpoint }).connectKms({
    ...{ kind: 'aws', keyId: key.keyArn, arnRegion: 'eu-central-1' },
  });
  const header = parseHeader(message);
  assert.ok(header);
  const opened = await unwrapDataKey([openedKey(kmsWrappingKey(key.keyArn, kms.dataKeys))], header);
  assert.ok(opened.materials instanceof NodeDecryptionMaterial);
  const { encryptedDataKeys } = header.info.messageHeader;
  const forged = new NodeEncryptionMaterial(suiteFor(false), { user: 'alice' });
  const dataKey = opened.materials.getUnencryptedDataKey();
  forged.setUnencryptedDataKey(
    dataKey instanceof Uint8Array ? Uint8Array.from(dataKey) : dataKey,
    traceOf(KeyringTraceFlag.WRAPPING_KEY_GENERATED_DATA_KEY),
  );
  for (const each of encryptedDataKeys) {
    forged.addEncryptedDataKey(each, KeyringTraceFlag.WRAPPING_KEY_ENCRYPTED_DATA_KEY);
  }
  return encryptWhole(forged, Buffer.from(plaintext));
}

describe('--sign', () => {
  test('signs a message, a stream and a batch, by option or setting', async () => {
    const large = randomBytes(3_000_000);
    for (const [args, more] of [
      [['--sign'], {}],
      [[], { SIGN: 'yes' }],
      [['--sign', '-k', 'local'], { KEY_ID: undefined }],
    ] as const) {
      for (const plaintext of [Buffer.from('x'), large]) {
        const message = await encrypt([...args, '--binary'], plaintext, more);
        assert.equal(suiteOf(message), signedSuite);
        const opened = await run(
          'kms-decrypt',
          [...forAlice, ...args.filter((arg) => arg !== '--sign'), '--require-signed'],
          { ...aws(more), stdin: message },
        );
        assert.ok(opened.status === 0 && opened.stdout.equals(plaintext), opened.stderr);
      }
    }
    const lines = Array.from({ length: 50 }, (_, id) =>
      JSON.stringify({ user: id % 2 === 0 ? 'alice' : 'bob', message: `message ${id}` }),
    ).join('\n');
    const batch = await run('kms-encrypt', ['-q', '--batch', '--sign'], { ...aws(), stdin: lines });
    assert.equal(batch.status, 0, batch.stderr);
    for (const line of batch.stdout.toString().trimEnd().split('\n')) {
      const { ciphertext } = JSON.parse(line) as { ciphertext: string };
      assert.equal(suiteOf(Buffer.from(ciphertext, 'base64')), signedSuite);
    }
    const args = ['-q', '--batch', '--require-signed'];
    const opened = await run('kms-decrypt', args, { ...aws(), stdin: batch.stdout });
    assert.equal(opened.stdout.toString(), `${lines}\n`);
    // A data key, and the key that signs, serve all messages of a user.
    assert.equal(proxy.count('GenerateDataKey', 'eu-central-1'), 4 + 2);
  });

  test('is what --inspect shows', async () => {
    const message = await encrypt(['--sign'], 'x');
    const { stdout } = await run('kms-decrypt', ['--inspect'], { stdin: message });
    assert.match(stdout.toString(), /signed: someone who can only decrypt can't have written it/);
    assert.match(stdout.toString(), /aws-crypto-public-key =/);
    assert.doesNotMatch(stdout.toString(), /refuses/);
  });

  test('SIGN is yes or no, and nothing else', async () => {
    assert.equal((await encrypt(['--binary'], 'x', { SIGN: 'no' })).length > 0, true);
    const failure = await failureOf('kms-encrypt', forAlice, {
      ...aws({ SIGN: 'maybe' }),
      stdin: 'x',
    });
    assert.deepEqual([failure.status, failure.message], [2, 'SIGN is neither yes nor no.']);
  });

  test('gives old messages a signature when they are re-encrypted', async () => {
    const blob = await encrypt(['--binary'], 'x');
    const file = join(temporaryFolder(), 'x');
    writeFileSync(file, blob);
    const args = [...forAlice, '--sign', '-i', file, '-o', file];
    const moved = await run('kms-reencrypt', args, aws());
    assert.equal(moved.status, 0, moved.stderr);
    // Moved within KMS it would have none.
    assert.equal(proxy.count('ReEncrypt'), 0);
    const opened = await run('kms-decrypt', [...forAlice, '--require-signed', '-i', file], aws());
    assert.equal(opened.stdout.toString(), 'x');
  });
});

describe('--require-signed', () => {
  test('refuses an unsigned message, with nothing asked of KMS', async () => {
    for (const plaintext of [Buffer.alloc(0), randomBytes(10_000)]) {
      const stdin = await encrypt(['--binary'], plaintext);
      for (const [args, more] of [
        [['--require-signed'], {}],
        [[], { REQUIRE_SIGNED: 'yes' }],
      ] as const) {
        proxy.reset();
        for (const command of ['kms-decrypt', 'kms-reencrypt'] as const) {
          const all = [...forAlice, ...args, ...(command === 'kms-decrypt' ? [] : ['--sign'])];
          const failure = await failureOf(command, all, { ...aws(more), stdin });
          assert.deepEqual([failure.status, failure.code], [3, 'NotSigned']);
        }
        assert.equal(proxy.count('Decrypt'), 0);
      }
    }
  });

  test('lets no message lose its signature by being re-encrypted', async () => {
    const signed = await encrypt(['--sign'], 'x');
    const blob = await encrypt([], 'x');
    const file = join(temporaryFolder(), 'x');
    const line = (ciphertext: Buffer): string =>
      `${JSON.stringify({ user: 'alice', ciphertext: ciphertext.toString().trim() })}\n`;
    for (const [args, stdin] of [
      [forAlice, signed],
      [[...forAlice, '-o', file], signed],
      [['-q', '--batch'], line(signed)],
      [[...forAlice, '--to-key', 'local'], blob],
    ] as const) {
      const required = aws({ REQUIRE_SIGNED: 'yes' });
      const refused = await run('kms-reencrypt', [...args], { ...required, stdin });
      assert.deepEqual([refused.status, refused.stdout.length], [2, 0]);
      assert.match(refused.stderr, /the new message would not be signed\.\nhint: Add --sign/);
      const both = aws({ REQUIRE_SIGNED: 'yes', SIGN: 'yes' });
      const done = await run('kms-reencrypt', [...args], { ...both, stdin });
      assert.equal(done.status, 0, done.stderr);
    }
    // KMS moves a blob itself, and it is one again.
    const moved = await run('kms-reencrypt', forAlice, {
      ...aws({ REQUIRE_SIGNED: 'yes' }),
      stdin: blob,
    });
    assert.equal(moved.status, 0, moved.stderr);
    const report = await run('kms-doctor', [], aws({ KEY_ID: 'local', REQUIRE_SIGNED: 'yes' }));
    assert.match(report.stdout.toString(), /advice +REQUIRE_SIGNED +yes, .*, but SIGN is not set/);
    const settings = { KEY_ID: 'local', REQUIRE_SIGNED: 'yes', SIGN: 'yes' };
    const other = await run('kms-doctor', [], aws(settings));
    assert.match(
      other.stdout.toString(),
      /advice +REQUIRE_SIGNED +yes, .*, but local is no key of KMS/,
    );
  });

  test('refuses each unsigned line of a batch, and opens the others', async () => {
    const [signed, unsigned] = await Promise.all([
      encrypt(['--sign'], 'x'),
      encrypt([], 'y'.repeat(5000)),
    ]);
    const stdin = [signed, unsigned]
      .map((each) => JSON.stringify({ user: 'alice', ciphertext: each.toString().trim() }))
      .join('\n');
    const args = ['-q', '--batch', '--require-signed'];
    const { status, stdout } = await run('kms-decrypt', args, { ...aws(), stdin });
    const [first = '', second = ''] = stdout.toString().split('\n');
    assert.deepEqual([status, first], [3, '{"user":"alice","message":"x"}']);
    const { message, error } = JSON.parse(second) as { message?: string; error: { code: string } };
    assert.deepEqual([message, error.code], [undefined, 'NotSigned']);
  });

  test('leaves blobs of KMS alone: only who may encrypt can make one', async () => {
    const stdin = await encrypt([], 'x');
    const opened = await run('kms-decrypt', [...forAlice, '--require-signed'], { ...aws(), stdin });
    assert.equal(opened.stdout.toString(), 'x');
  });

  test('tells a forged message from a genuine one', async () => {
    const genuine = await encrypt(['--binary'], 'pay bob 1'.padEnd(5000));
    const forged = await forge(genuine, 'pay eve 1000');
    const believed = await run('kms-decrypt', forAlice, { ...aws(), stdin: forged });
    assert.equal(believed.stdout.toString(), 'pay eve 1000', 'without a signature it is believed');
    const args = [...forAlice, '--require-signed'];
    const failure = await failureOf('kms-decrypt', args, { ...aws(), stdin: forged });
    assert.deepEqual([failure.status, failure.code], [3, 'NotSigned']);
  });

  test('is not needed for a data key of a signed message: KMS binds it to the public key', async () => {
    const genuine = await encrypt(['--sign', '--binary'], 'pay bob 1');
    const stdin = await forge(genuine, 'pay eve 1000');
    const failure = await failureOf('kms-decrypt', forAlice, { ...aws(), stdin });
    assert.deepEqual([failure.status, failure.code], [3, 'CannotDecrypt']);
  });
});

describe('the encryption context', () => {
  test('of an unsigned message may have nothing that begins with aws-crypto-', async () => {
    const materials = new NodeEncryptionMaterial(suiteFor(false), {
      user: 'alice',
      'aws-crypto-public-key': 'AAAA',
    });
    materials.setUnencryptedDataKey(
      randomBytes(32),
      traceOf(KeyringTraceFlag.WRAPPING_KEY_GENERATED_DATA_KEY),
    );
    materials.addEncryptedDataKey(
      new EncryptedDataKey({
        ...{ providerId: 'p', providerInfo: 'i', encryptedDataKey: randomBytes(32) },
      }),
      KeyringTraceFlag.WRAPPING_KEY_ENCRYPTED_DATA_KEY,
    );
    const message = encryptWhole(materials, Buffer.from('x'));
    const failure = await failureOf('kms-decrypt', [...forAlice, '-k', 'local'], {
      stdin: message,
    });
    assert.deepEqual([failure.status, failure.code], [3, 'WrongUser']);
    const inspected = await run('kms-decrypt', ['--inspect'], { stdin: message });
    assert.match(inspected.stdout.toString(), /refuses it: This message is for alice, but its/);
  });
});

test('a signed message that was changed gives nothing, however long it is', async () => {
  const plaintext = randomBytes(200_000);
  const message = await encrypt(['--sign', '--binary'], plaintext);
  const changes: [string, Buffer][] = [
    ['in its signature', flipped(message, message.length - 5)],
    ['in its body', flipped(message, message.length - 5000)],
    ['without its signature', message.subarray(0, message.length - 105)],
    ['with a byte more', Buffer.concat([message, Buffer.alloc(1)])],
  ];
  for (const [what, changed] of changes) {
    const single = await run('kms-decrypt', forAlice, { ...aws(), stdin: changed });
    assert.deepEqual([single.status, single.stdout.length], [3, 0], what);
    const line = JSON.stringify({ user: 'alice', ciphertext: changed.toString('base64') });
    const batch = await run('kms-decrypt', ['-q', '--batch'], { ...aws(), stdin: line });
    assert.equal(batch.status, 3, what);
    assert.deepEqual(Object.keys(JSON.parse(batch.stdout.toString()) as object), ['user', 'error']);
  }
});

function flipped(message: Buffer, at: number): Buffer {
  const changed = Buffer.from(message);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}
