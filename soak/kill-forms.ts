/** The commands that write files, with enough to do that a kill can come in between. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

import { parseKeyReference } from '../src/keys/key-reference.ts';
import { decryptBatch } from '../src/messages/batch.ts';
import { decrypt } from '../src/messages/decrypt.ts';
import { collect, inPieces } from '../test/support/bytes.ts';
import { type Environment, run, temporaryFolder } from '../test/support/command.ts';
import { testKeySources } from '../test/support/key-sources.ts';
import type { Moto } from '../test/support/moto.ts';

export interface KillForm {
  /** A row of the table. */
  readonly name: string;
  readonly command: string;
  readonly args: string[];
  readonly env: Environment;
  /** What is in the folder beforehand. */
  readonly files: Readonly<Record<string, Buffer>>;
  readonly target: string;
  /** A folder: half of the kills come when something happens in it. */
  readonly watched?: string;
  /** @throws if the target is not the whole new file */
  readonly verify: (content: Buffer, folder: string) => Promise<void>;
}

const kmsKey = 'arn:aws:kms:eu-central-1:123456789012:key/2026601d-7e57-4e57-8e57-7e577e577e57';
const newKmsKey = 'arn:aws:kms:eu-central-1:123456789012:key/mrk-2026601d7e574e578e577e577e577e57';
const [local, otherLocal, madeLocal] = [
  'test-keys/local.key',
  'test-keys/other.key',
  'new/made.key',
];
const plainBytes = 2 ** 22;
const batchLines = 1500;
const old = Buffer.from('what was there before');

export async function makeKillForms(moto: Moto, keysFolder: string): Promise<KillForm[]> {
  const plain = Buffer.alloc(plainBytes, createHash('sha256').update('a file').digest());
  const lines = Array.from({ length: batchLines }, (_, id) =>
    JSON.stringify({ id, user: id % 2 === 0 ? 'alice' : 'bob', message: `secret number ${id}` }),
  );
  const plainBatch = Buffer.from(`${lines.join('\n')}\n`);
  const made = async (args: string[], stdin: Buffer): Promise<Buffer> => {
    const cwd = join(keysFolder, '..');
    const options = { cwd, stdin, env: moto.env, timeoutMs: 60_000 };
    const { status, stdout, stderr } = await run('kms-encrypt', ['-q', ...args], options);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const alice = ['-u', 'alice'];
  const [message, batch, kmsMessage] = await Promise.all([
    made([...alice, '-k', `local:${local}`, '--binary'], plain),
    made(['-k', `local:${local}`, '--batch'], plainBatch),
    made([...alice, '-k', kmsKey, '--binary'], plain),
  ]);

  const sources = testKeySources({ endpoint: moto.endpoint, localKeyFile: temporaryFolder() });
  const keysIn = (folder: string) =>
    [`local:${join(folder, local)}`, `local:${join(folder, otherLocal)}`, kmsKey, newKmsKey].map(
      (key) => parseKeyReference(key, '--key'),
    );
  const opens = async (content: Buffer, keys: ReturnType<typeof keysIn>): Promise<void> => {
    const request = { keys, sources, requireSigned: false, outputHeldUntilEnd: true };
    const { plaintext } = await decrypt({ ...request, user: 'alice' }, inPieces(content));
    assert.ok((await collect(plaintext)).equals(plain), 'another message');
  };
  const opensWithAny = (content: Buffer, folder: string): Promise<void> =>
    opens(content, keysIn(folder));
  const opensWithMade = (content: Buffer, folder: string): Promise<void> =>
    opens(content, [parseKeyReference(`local:${join(folder, madeLocal)}`, '--key')]);
  const batchOpens = async (content: Buffer, folder: string): Promise<void> => {
    const options = {
      input: inPieces(content),
      defaultUser: undefined,
      checkUser: () => undefined,
    };
    const { output } = decryptBatch(options, keysIn(folder), sources, false);
    assert.ok((await collect(output)).equals(plainBatch), 'another batch');
  };
  const is = (expected: Buffer) => (content: Buffer) => {
    assert.ok(content.equals(expected), `${content.length} of ${expected.length} bytes`);
    return Promise.resolve();
  };

  const withLocal = { KEY_ID: `local:${local}`, DECRYPT_KEYS: `local:${otherLocal}` };
  const withKms = { KEY_ID: kmsKey, DECRYPT_KEYS: newKmsKey };
  const form = (
    name: string,
    [command = '', ...args]: string[],
    more: Omit<KillForm, 'name' | 'command' | 'args' | 'env' | 'target'> & Partial<KillForm>,
  ): KillForm => ({
    ...{ name, command, args: ['-q', ...args], env: withLocal, target: 'out' },
    ...more,
  });
  const out = ['-i', 'in', '-o', 'out'];
  const inPlace = ['-i', 'out', '-o', 'out'];
  const toOther = ['--to-key', `local:${otherLocal}`];
  return [
    form('encrypt -o', ['kms-encrypt', ...alice, ...out], {
      ...{ files: { in: plain, out: old }, verify: opensWithAny },
    }),
    form('encrypt -o, a new file', ['kms-encrypt', ...alice, ...out, '--binary'], {
      ...{ files: { in: plain }, verify: opensWithAny },
    }),
    form(
      'encrypt -o, with a new key',
      ['kms-encrypt', ...alice, ...out, '-k', `local:${madeLocal}`],
      {
        ...{ files: { in: plain, out: old }, verify: opensWithMade, watched: 'new' },
      },
    ),
    form('decrypt -o', ['kms-decrypt', ...alice, ...out], {
      ...{ files: { in: message, out: old }, verify: is(plain) },
    }),
    form('reencrypt in place', ['kms-reencrypt', ...alice, ...inPlace, ...toOther], {
      ...{ files: { out: message }, verify: opensWithAny },
    }),
    form(
      'reencrypt in place, KMS',
      ['kms-reencrypt', ...alice, ...inPlace, '--to-key', newKmsKey],
      {
        ...{ files: { out: kmsMessage }, verify: opensWithAny, env: withKms },
      },
    ),
    form('encrypt --batch -o', ['kms-encrypt', '--batch', ...out], {
      ...{ files: { in: plainBatch, out: old }, verify: batchOpens },
    }),
    form('decrypt --batch -o', ['kms-decrypt', '--batch', ...out], {
      ...{ files: { in: batch, out: old }, verify: is(plainBatch) },
    }),
    form('reencrypt --batch in place', ['kms-reencrypt', '--batch', ...inPlace, ...toOther], {
      ...{ files: { out: batch }, verify: batchOpens },
    }),
  ];
}
