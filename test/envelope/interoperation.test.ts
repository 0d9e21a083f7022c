/** AWS's Encryption SDK for Python reads what we write, and we read what it writes. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { cachedDataKeys, cachedUnwrapping } from '../../src/envelope/data-key-cache.ts';
import { encryptionMaterials } from '../../src/envelope/encrypt.ts';
import { parseHeader } from '../../src/envelope/header.ts';
import { maxUnverifiedBytes, mebibyte } from '../../src/envelope/limits.ts';
import { localWrappingKey } from '../../src/envelope/local-wrapping-key.ts';
import { decryptWhole, encryptWhole } from '../../src/envelope/whole-message.ts';
import { localKeyNamespace } from '../../src/envelope/key-names.ts';
import { collect } from '../support/bytes.ts';
import { run } from '../support/command.ts';
import { pythonProgram } from '../support/python.ts';
import { assertRefused, decrypt, encrypt, openedKey } from './messages.ts';

const keyBytes = randomBytes(32);
const keyName = '3f9a0c11';
const key = localWrappingKey(keyName, keyBytes);

interface EncryptJob {
  plaintext: Buffer;
  context: Record<string, string>;
  suite: string;
  frameLength: number;
}

const askPython = async <Answer>(jobs: object[]): Promise<Answer[]> => {
  const request = { key: keyBytes.toString('base64'), namespace: localKeyNamespace, name: keyName };
  const { status, stdout, stderr } = await run(
    pythonProgram('python'),
    [join(import.meta.dirname, 'encryption_sdk.py')],
    { stdin: JSON.stringify({ ...request, jobs }), timeoutMs: 60_000 },
  );
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.toString()) as Answer[];
};

const pythonEncrypt = async (jobs: EncryptJob[]): Promise<Buffer[]> => {
  const answers = await askPython<{ ciphertext: string }>(
    jobs.map((job) => ({ ...job, plaintext: job.plaintext.toString('base64') })),
  );
  return answers.map(({ ciphertext }) => Buffer.from(ciphertext, 'base64'));
};

const committing = 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY';
const committingSigned = 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384';

test('Python reads what we write', async () => {
  const plaintexts = [0, 1, 4096, mebibyte, 2 * mebibyte + 1].map((length) => randomBytes(length));
  const ciphertexts = await Promise.all(
    plaintexts.map((plaintext) => encrypt(plaintext, { keys: [key] })),
  );
  const answers = await askPython<{ plaintext: string; context: object }>(
    ciphertexts.map((ciphertext) => ({ ciphertext: ciphertext.toString('base64') })),
  );
  for (const [index, plaintext] of plaintexts.entries()) {
    const answer = answers[index];
    assert.ok(answer);
    assert.deepEqual(answer.context, { user: 'alice' });
    assert.ok(Buffer.from(answer.plaintext, 'base64').equals(plaintext));
  }
});

test('we read what Python writes: signed or not, in frames of any length or none', async () => {
  const jobs = [committing, committingSigned].flatMap((suite) =>
    [0, 1024, 4096, mebibyte].flatMap((frameLength) =>
      [0, 1, 4096, 20_000].map((length) => ({
        plaintext: randomBytes(length),
        context: { user: 'alice' },
        suite,
        frameLength,
      })),
    ),
  );
  const ciphertexts = await pythonEncrypt(jobs);
  for (const [index, job] of jobs.entries()) {
    const ciphertext = ciphertexts[index];
    assert.ok(ciphertext);
    const header = parseHeader(ciphertext);
    assert.equal(header?.signed, job.suite === committingSigned);
    assert.equal(header.contentType, job.frameLength === 0 ? 'single-block' : 'framed');
    for (const pieces of [[], [100]]) {
      const plaintext = await collect(decrypt(ciphertext, { keys: [key], pieces }));
      assert.ok(plaintext.equals(job.plaintext), JSON.stringify({ ...job, plaintext: index }));
    }
    await assertRefused(decrypt(ciphertext, { keys: [key], user: 'bob' }), 'WrongUser');
  }
});

test('a message without frames is refused if changed, truncated, or longer than announced', async () => {
  const context = { user: 'alice' };
  const [ciphertext] = await pythonEncrypt([
    { plaintext: randomBytes(5000), context, suite: committing, frameLength: 0 },
  ]);
  assert.ok(ciphertext);
  const headerLength = parseHeader(ciphertext)?.headerLength ?? 0;
  const lengthAt = headerLength + 12;
  assert.equal(ciphertext.readBigUInt64BE(lengthAt), 5000n);

  for (const at of [headerLength, lengthAt - 1, lengthAt + 8, ciphertext.length - 1]) {
    const changed = Buffer.from(ciphertext);
    changed[at] = (changed[at] ?? 0) ^ 1;
    await assertRefused(decrypt(changed, { keys: [key] }), 'CannotDecrypt');
  }
  for (const length of [lengthAt, lengthAt + 8, ciphertext.length - 1]) {
    const cut = ciphertext.subarray(0, length);
    await assertRefused(decrypt(cut, { keys: [key] }), 'NotCiphertext', /is truncated/);
  }
  const longer = Buffer.concat([ciphertext, Buffer.alloc(1)]);
  await assertRefused(decrypt(longer, { keys: [key] }), 'NotCiphertext', /There is more after/);

  for (const announced of [BigInt(maxUnverifiedBytes) + 1n, 1n << 35n]) {
    const huge = Buffer.from(ciphertext);
    huge.writeBigUInt64BE(announced, lengthAt);
    await assertRefused(decrypt(huge, { keys: [key] }), 'Unsupported', /without frames/);
  }
  const absurd = Buffer.from(ciphertext);
  absurd.writeBigUInt64BE(0xffff_ffff_ffff_ffffn, lengthAt);
  await assertRefused(decrypt(absurd, { keys: [key] }), 'CannotDecrypt');
});

test('messages written and opened whole, both ways', async () => {
  const plaintexts = [0, 1, 4096, mebibyte, 2 * mebibyte + 1].map((length) => randomBytes(length));
  const dataKeyFor = cachedDataKeys(encryptionMaterials([key]), false);
  const ours = await Promise.all(
    plaintexts.map(async (plaintext) => {
      const { materials, header } = await dataKeyFor('alice', plaintext.length);
      return encryptWhole(materials, plaintext, header);
    }),
  );
  const read = await askPython<{ plaintext: string; context: object }>(
    ours.map((ciphertext) => ({ ciphertext: ciphertext.toString('base64') })),
  );
  const theirs = await pythonEncrypt(
    plaintexts.map((plaintext) => ({
      plaintext,
      context: { user: 'alice' },
      suite: committing,
      frameLength: 4096,
    })),
  );
  const lendMaterials = cachedUnwrapping([openedKey(key)], () => undefined);
  for (const [index, plaintext] of plaintexts.entries()) {
    assert.deepEqual(read[index]?.context, { user: 'alice' });
    assert.ok(Buffer.from(read[index].plaintext, 'base64').equals(plaintext));
    const message = theirs[index];
    const header = message && parseHeader(message);
    assert.ok(header);
    assert.ok(
      (
        await lendMaterials(header, (materials) => decryptWhole(header, materials, message))
      )?.equals(plaintext),
    );
  }
});
