/**
 * What was written in 2026 opens for ever: messages in every format under fixed keys, created once,
 * and changed copies of them, each with the error that it must give. See README.md in this folder.
 */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { chmodSync, cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ErrorCode, exitStatus, KmsPocError } from '../../src/errors.ts';
import { parseKeyReference } from '../../src/keys/key-reference.ts';
import { decrypt } from '../../src/messages/decrypt.ts';
import { inPieces, type Outcome, outcomeOf } from '../support/bytes.ts';
import { type Finished, run, temporaryFolder } from '../support/command.ts';
import { readFailure } from '../support/failure.ts';
import { testKeySources } from '../support/key-sources.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { pythonProgram } from '../support/python.ts';
import { startVault, type TestVault } from '../support/vault.ts';
import {
  ciphertextOf,
  frozenFiles,
  goldenFolder,
  isBatch,
  plaintextIn,
  plaintextOf,
  readSums,
  readVectors,
  sumOf,
  type Vector,
} from './manifest.ts';

const vectors = readVectors();
const batches = vectors.filter(isBatch);
const messages = vectors.filter((vector) => !isBatch(vector));

const cwd = temporaryFolder();
const home = temporaryFolder();
let moto: Moto;
let vault: TestVault;
before(async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const keys = join(cwd, 'test-keys');
  cpSync(join(goldenFolder, 'test-keys'), keys, { recursive: true });
  // Git doesn't store the mode of a key file.
  for (const name of readdirSync(keys)) chmodSync(join(keys, name), 0o600);
  [moto, vault] = await Promise.all([
    startMoto({ keysFile: join(keys, 'kms-keys.json') }),
    startVault(),
  ]);
  const backup = readFileSync(join(keys, 'vault-key.backup'), 'utf8').trim();
  await vault.call('transit/restore/golden', { backup });
  await importIntoVault('golden-rsa', join(keys, 'rsa-private.pem'));
});
after(() => Promise.all([moto.stop(), vault.stop()]));

/** The way docs/recovery.md says to do it. */
async function importIntoVault(name: string, pemFile: string): Promise<void> {
  const file = join(cwd, 'imported');
  const der = createPrivateKey(readFileSync(pemFile)).export({ type: 'pkcs8', format: 'der' });
  writeFileSync(file, der.toString('base64'));
  const args = ['transit', 'import', `transit/keys/${name}`, `@${file}`, 'type=rsa-3072'];
  const { status, stderr } = await run(pythonProgram('bao'), args, { env: vault.env });
  assert.equal(status, 0, stderr);
}

/** Runs the built command with these keys and no others. */
function runDecrypt(
  keys: readonly string[],
  args: string[],
  stdin: Uint8Array | string,
): Promise<Finished> {
  const [first = '', ...others] = keys;
  return run('kms-decrypt', ['--key', first, ...args], {
    stdin,
    cwd,
    home,
    env: {
      ...moto.env,
      ...vault.env,
      USERS: '*',
      DECRYPT_KEYS: others.join(),
      RSA_PASSPHRASE_FILE: join('test-keys', 'passphrase'),
    },
  });
}

/** The code behind the command, in the process of the tests. */
async function decryptHere({ user = '', keys }: Vector, ciphertext: Uint8Array): Promise<Outcome> {
  const sources = testKeySources({ endpoint: moto.endpoint, vaultAddress: vault.endpoint });
  const references = keys.map((key) =>
    parseKeyReference(key.replace(':test-keys', `:${join(cwd, 'test-keys')}`), '--key'),
  );
  try {
    const { plaintext } = await decrypt(
      { user, keys: references, sources, requireSigned: false, outputHeldUntilEnd: false },
      inPieces(ciphertext),
    );
    return await outcomeOf(plaintext);
  } catch (error) {
    return { output: Buffer.alloc(0), error };
  }
}

describe('the files', () => {
  const promise =
    'What was written in 2026 must open for ever. Changing or removing a golden file is a breaking change: see test/golden/README.md.';
  const sums = readSums();

  for (const [name, sum] of sums) {
    test(`${name} is the one that was added`, () => {
      assert.equal(frozenFiles().includes(name) ? sumOf(name) : 'removed', sum, promise);
    });
  }

  test('are all listed in SHA256SUMS', () => {
    const unlisted = frozenFiles().filter((name) => !sums.has(name));
    assert.deepEqual(unlisted, [], 'make.ts lists what is new');
  });

  test('are all used by golden.json', () => {
    const used = new Set(
      vectors.flatMap(({ file, gives, keys }) => [
        `messages/${file}`,
        ...(gives !== undefined && 'file' in gives ? [`plaintexts/${gives.file}`] : []),
        ...keys.map((key) => key.replace(/^.*:(?=test-keys)/, '')),
      ]),
    );
    const unused = frozenFiles().filter((name) => !used.has(name));
    assert.deepEqual(unused, [
      'test-keys/kms-keys.json',
      'test-keys/passphrase',
      'test-keys/vault-key.backup',
    ]);
  });
});

/** Each test is a process, which spends most of its time starting. */
const atOnce = { concurrency: 3 };

describe('opens:', atOnce, () => {
  for (const vector of messages) {
    const { name, user = '', keys, gives } = vector;
    if (gives === undefined) continue;
    test(name, async () => {
      const finished = await runDecrypt(keys, ['--user', user], ciphertextOf(vector));
      assert.equal(finished.status, 0, finished.stderr);
      assertBytes(finished.stdout, plaintextOf(gives));
    });
  }
});

describe('is refused as it is:', atOnce, () => {
  for (const vector of messages) {
    const { name, user = '', keys, change, fails, why } = vector;
    if (fails === undefined || change !== undefined) continue;
    test(name, async () => {
      const args = ['--user', user, '--json'];
      const { status, code, message } = readFailure(
        await runDecrypt(keys, args, ciphertextOf(vector)),
      );
      assert.deepEqual([status, code], [fails.status, fails.code], `${message} (${why})`);
    });
  }
});

/**
 * In this process, because there are many. The built command gets all of them below, as lines of a
 * batch.
 */
describe('is refused, changed:', () => {
  for (const vector of messages) {
    const { name, file, change, fails, why } = vector;
    if (fails === undefined || change === undefined) continue;
    test(name, async () => {
      const { output, error } = await decryptHere(vector, ciphertextOf(vector));
      const verified = plaintextIn(vectors, file).subarray(0, fails.mayPrint ?? 0);
      assertBytes(output, verified.subarray(0, output.length));
      assert.ok(error instanceof KmsPocError, `it ended with ${String(error)} (${why})`);
      const { status, code, message } = error;
      assert.deepEqual([status, code], [fails.status, fails.code], `${message} (${why})`);
    });
  }
});

function assertBytes(actual: Buffer, expected: Buffer): void {
  assert.ok(
    actual.equals(expected),
    `what came out is wrong: ${JSON.stringify(actual.toString())}`,
  );
}

type Line = Record<string, unknown>;

const linesOf = (text: Buffer): string[] => text.toString().split('\n');

/** The line for a message that failed: what it contained is gone, and the error says why. */
function assertErrorLine(line: Line, code: ErrorCode, why = ''): void {
  const { message, messageBase64, ciphertext, error } = line;
  assert.deepEqual([message, messageBase64, ciphertext], [undefined, undefined, undefined], why);
  assert.equal((error as { code?: unknown } | undefined)?.code, code, why);
}

describe('a batch:', atOnce, () => {
  for (const vector of batches) {
    const { name, keys, gives, why } = vector;
    assert.ok(gives !== undefined && 'file' in gives, name);
    test(name, async () => {
      const { status, stdout } = await runDecrypt(keys, ['--batch'], ciphertextOf(vector));
      const failingLines = Object.entries(gives.failingLines ?? {});
      const statuses = failingLines.map(([, code]) => new KmsPocError(code, '', undefined).status);
      assert.equal(status, Math.max(0, ...statuses), why);
      const expected = linesOf(plaintextOf(gives));
      const actual = linesOf(stdout);
      for (const [number, code] of failingLines) {
        const index = Number(number) - 1;
        assertErrorLine(JSON.parse(actual[index] ?? '{}') as Line, code, why);
        expected[index] = actual[index] ?? '';
      }
      assert.deepEqual(actual, expected);
    });
  }
});

/**
 * Batches take a different path through the code than single messages, and must give the same
 * result.
 */
describe('each message as a line of a batch, with the keys', atOnce, () => {
  const byKeys = new Map<string, Vector[]>();
  for (const vector of messages) {
    // An error about the key, rather than the line, would end the run.
    if (vector.fails?.status === exitStatus.refused) continue;
    const keys = vector.keys.join();
    byKeys.set(keys, [...(byKeys.get(keys) ?? []), vector]);
  }
  for (const [keys, group] of byKeys) {
    test(keys, async () => {
      const input = group.map((vector) => {
        const encoding = vector.file.endsWith('.enc') ? 'base64' : 'utf8';
        const ciphertext = ciphertextOf(vector).toString(encoding);
        return JSON.stringify({ name: vector.name, user: vector.user, ciphertext });
      });
      const { stdout, stderr } = await runDecrypt(keys.split(','), ['--batch'], input.join('\n'));
      const lines = linesOf(stdout).slice(0, -1);
      assert.equal(lines.length, group.length, stderr);
      for (const [index, { name, gives, fails, why = '' }] of group.entries()) {
        const line = JSON.parse(lines[index] ?? '{}') as Line;
        assert.equal(line.name, name);
        if (fails !== undefined) {
          assertErrorLine(line, fails.code, `${name} (${why})`);
        } else if (gives !== undefined) {
          const { message, messageBase64 } = line;
          const bytes =
            typeof message === 'string'
              ? Buffer.from(message)
              : Buffer.from(String(messageBase64), 'base64');
          assertBytes(bytes, plaintextOf(gives));
        }
      }
    });
  }
});

describe('is described by --inspect:', atOnce, () => {
  for (const vector of vectors) {
    const { name, inspect } = vector;
    if (inspect === undefined) continue;
    test(name, async () => {
      const stdin = ciphertextOf(vector);
      const { status, stdout } = await run('kms-decrypt', ['--inspect', '--json'], { stdin, home });
      assert.equal(status, 0);
      // Fields may be added, but today's stay.
      assert.deepEqual(fieldsOf(JSON.parse(stdout.toString()), inspect), inspect);
    });
  }
});

/** Of a value, only those fields that another one has, at any depth. */
function fieldsOf(value: unknown, other: unknown): unknown {
  if (Array.isArray(value) && Array.isArray(other)) {
    return value.map((each, index) => fieldsOf(each, other[index]));
  }
  if (!isObject(value) || !isObject(other)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name in other)
      .map(([name, field]) => [name, fieldsOf(field, other[name])]),
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
