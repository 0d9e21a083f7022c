/** The commands as they are used with KMS, what they work on, and how their output is verified. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parseKeyReference } from '../src/keys/key-reference.ts';
import { decrypt } from '../src/messages/decrypt.ts';
import { goldenFolder } from '../test/golden/manifest.ts';
import { collect, inPieces } from '../test/support/bytes.ts';
import { type Environment, run } from '../test/support/command.ts';
import { testKeySources } from '../test/support/key-sources.ts';
import type { Moto } from '../test/support/moto.ts';

export interface Form {
  /** A row of the table. */
  readonly name: string;
  readonly command: string;
  readonly args: string[];
  readonly env: Environment;
  readonly stdin?: Buffer;
  /** What is in the folder beforehand. */
  readonly files: Readonly<Record<string, Buffer>>;
  /** The file that is written; undefined for standard output. */
  readonly target?: string;
  readonly isBatch: boolean;
  /** How many requests it makes before its last one, or a few of them. */
  readonly spared?: number;
  /** Whether wrong bytes from KMS can be told from right ones. */
  readonly noticesLies: boolean;
  /** Of kms-doctor: it prints a report whatever happens. */
  readonly report?: boolean;
  /**
   * @param isPartial whether lines may be missing at the end, or be errors
   * @throws what is wrong with the output
   */
  readonly verify: (output: Buffer, isPartial: boolean) => Promise<void>;
}

const kmsKey = 'arn:aws:kms:eu-central-1:123456789012:key/2026601d-7e57-4e57-8e57-7e577e577e57';
const newKey = 'arn:aws:kms:eu-central-1:123456789012:key/mrk-2026601d7e574e578e577e577e577e57';
const short = Buffer.from('this is a secret');
const old = Buffer.from('what was there before');

export async function makeForms(moto: Moto): Promise<Form[]> {
  const long = readFileSync(join(goldenFolder, 'plaintexts', 'long.txt'));
  const env = { KEY_ID: kmsKey, USERS: '*' };
  const made = async (args: string[], stdin: Buffer): Promise<Buffer> => {
    const options = { env: { ...moto.env, ...env }, stdin, timeoutMs: 60_000 };
    const { status, stdout, stderr } = await run('kms-encrypt', args, options);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const users = ['alice', 'bob', 'carol', 'alice', 'bob', 'dave'];
  const messages = users.map((user, id) => ({ id, user, message: `the secret ${id} of ${user}` }));
  const plainBatch = Buffer.from(messages.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const [blob, envelope, batch] = await Promise.all([
    made(['-u', 'alice'], short),
    made(['-u', 'alice', '--binary'], long),
    made(['--batch'], plainBatch),
  ]);

  const sources = testKeySources({ endpoint: moto.endpoint });
  const keys = [kmsKey, newKey].map((key) => parseKeyReference(key, '--key'));
  const open = async (user: string, ciphertext: Buffer): Promise<Buffer> => {
    const request = { user, keys, sources, requireSigned: false, outputHeldUntilEnd: true };
    return collect((await decrypt(request, inPieces(ciphertext))).plaintext);
  };
  const opensTo = (plaintext: Buffer) => async (output: Buffer) => {
    assert.ok((await open('alice', output)).equals(plaintext), 'it holds another message');
  };
  const isPlain = (plaintext: Buffer) => (output: Buffer) => {
    assert.ok(output.equals(plaintext), 'another plaintext came out');
    return Promise.resolve();
  };
  const linesAre =
    (isCiphertext: boolean) =>
    async (output: Buffer, isPartial: boolean): Promise<void> => {
      const text = output.toString();
      assert.ok(text === '' || text.endsWith('\n'), `a line is not whole: ${text.slice(-200)}`);
      const lines = text.split('\n').slice(0, -1);
      assert.ok(isPartial || lines.length === messages.length, `${lines.length} lines came out`);
      for (const [index, line] of lines.entries()) {
        const { id, user, message, ciphertext, error } = JSON.parse(line) as Line;
        const expected = messages[index];
        assert.ok(id === expected?.id && user === expected.user, line);
        if (error !== undefined) {
          assert.ok(isPartial && message === undefined, `an error: ${line}`);
          continue;
        }
        const plaintext = isCiphertext
          ? (await open(user, Buffer.from(ciphertext ?? ''))).toString()
          : message;
        assert.equal(plaintext, expected.message, `another message: ${line}`);
      }
    };

  const form = (
    name: string,
    command: string,
    args: string[],
    more: Partial<Form> & Pick<Form, 'verify'>,
  ): Form => ({
    ...{ name, command, args, env, files: {}, isBatch: false, noticesLies: false },
    ...more,
  });
  const alice = ['-u', 'alice'];
  const to = ['--to-key', newKey];
  const [encrypt, decryptName, reencrypt] = [
    'kms-encrypt',
    'kms-decrypt',
    'kms-reencrypt',
  ] as const;

  return [
    form('encrypt', encrypt, alice, { stdin: short, verify: opensTo(short) }),
    form('encrypt --json', encrypt, [...alice, '--json'], { stdin: short, verify: opensTo(short) }),
    form('encrypt -i -o', encrypt, [...alice, '-i', 'in', '-o', 'out'], {
      ...{ files: { in: long, out: old }, target: 'out', verify: opensTo(long) },
    }),
    form('encrypt, a local backup key', encrypt, [...alice, '-o', 'out'], {
      ...{ stdin: short, env: { ...env, BACKUP_KEYS: 'local:test-keys/local.key' } },
      ...{ files: {}, target: 'out', verify: opensTo(short) },
    }),
    form('encrypt --batch', encrypt, ['--batch'], {
      ...{ stdin: plainBatch, isBatch: true, verify: linesAre(true), spared: 3 },
    }),
    form('encrypt --batch -o', encrypt, ['--batch', '-o', 'out'], {
      ...{ stdin: plainBatch, isBatch: true, verify: linesAre(true), spared: 3 },
      ...{ files: { out: old }, target: 'out' },
    }),
    form('decrypt', decryptName, alice, { stdin: blob, verify: isPlain(short) }),
    form('decrypt, an Encryption SDK message', decryptName, alice, {
      ...{ stdin: envelope, verify: isPlain(long), noticesLies: true },
    }),
    form('decrypt -i -o', decryptName, [...alice, '-i', 'in', '-o', 'out'], {
      ...{ files: { in: envelope, out: old }, target: 'out', verify: isPlain(long) },
      noticesLies: true,
    }),
    form('decrypt --batch', decryptName, ['--batch'], {
      ...{ stdin: batch, isBatch: true, verify: linesAre(false), noticesLies: true, spared: 3 },
    }),
    form('decrypt --batch -o', decryptName, ['--batch', '-o', 'out'], {
      ...{ stdin: batch, isBatch: true, verify: linesAre(false), noticesLies: true, spared: 3 },
      ...{ files: { out: old }, target: 'out' },
    }),
    form('reencrypt', reencrypt, [...alice, ...to], { stdin: blob, verify: opensTo(short) }),
    form('reencrypt in place', reencrypt, [...alice, ...to, '-i', 'file', '-o', 'file'], {
      ...{ files: { file: blob }, target: 'file', verify: opensTo(short), noticesLies: true },
      spared: 1,
    }),
    form(
      'reencrypt in place, an Encryption SDK message',
      reencrypt,
      [...alice, ...to, '-i', 'file', '-o', 'file'],
      {
        ...{ files: { file: envelope }, target: 'file', verify: opensTo(long) },
        ...{ noticesLies: true, spared: 2 },
      },
    ),
    form('reencrypt --batch', reencrypt, ['--batch', ...to], {
      ...{ stdin: batch, isBatch: true, verify: linesAre(true), spared: 5 },
    }),
    form('reencrypt --batch in place', reencrypt, ['--batch', ...to, '-i', 'file', '-o', 'file'], {
      ...{ files: { file: batch }, target: 'file', isBatch: true, verify: linesAre(true) },
      spared: 8,
    }),
    form('doctor', 'kms-doctor', [...alice, '--json'], {
      ...{ report: true, verify: () => Promise.resolve(), spared: 4 },
    }),
    form('doctor, two keys', 'kms-doctor', [...alice, '--json'], {
      ...{ env: { ...env, DECRYPT_KEYS: newKey }, report: true, verify: () => Promise.resolve() },
      spared: 6,
    }),
  ];
}

interface Line {
  readonly id: number;
  readonly user: string;
  readonly message?: string;
  readonly ciphertext?: string;
  readonly error?: unknown;
}
