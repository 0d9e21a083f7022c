/** docs/vault.md, word by word: bash runs each of its `sh` blocks, in the order of the page. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';

import { parseHeader } from '../../src/envelope/header.ts';
import { type Environment, type Finished, run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { refusingEndpoint } from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { pythonProgram } from '../support/python.ts';
import { startVault, type TestVault } from '../support/vault.ts';

const projectFolder = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(projectFolder, 'docs', 'vault.md'), 'utf8');
/** The blocks by name, without the indentation that a list gives them. */
const blocks = new Map(
  [...page.matchAll(/^( *)```sh ([a-z-]+)\n([^]*?)^ *```$/gm)].map(
    ([, indent = '', name = '', block = '']) => [
      name,
      block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    ],
  ),
);

const secret = 'this is a secret';
const folder = temporaryFolder();
const auditLog = join(folder, 'audit.log');
let env: Environment;
let vault: TestVault;
let moto: Moto;
let kmsKey: TestKey;
before(async () => {
  [vault, moto] = await Promise.all([startVault({ transit: false, auditLog }), startMoto()]);
  kmsKey = await moto.createKey();
  const programs = join(folder, 'programs');
  mkdirSync(programs);
  const put = (name: string, command: string): void => {
    const script = `#!/bin/sh\nexec ${command} "$@"\n`;
    writeFileSync(join(programs, name), script, { mode: 0o755 });
  };
  for (const name of ['kms-encrypt', 'kms-decrypt', 'kms-reencrypt']) {
    put(name, join(projectFolder, 'dist', `${name}.js`));
  }
  put('bao', pythonProgram('bao'));
  put('python3', pythonProgram('python'));
  symlinkSync(join(projectFolder, 'docs'), join(folder, 'docs'));
  writeFileSync(join(folder, 'secret.txt'), secret);
  env = {
    ...moto.env,
    PATH: [programs, process.env.PATH].join(delimiter),
    BAO_ADDR: vault.endpoint,
    BAO_TOKEN: 'root',
    AWS_KEY: kmsKey.keyArn,
    AUDIT_LOG: auditLog,
  };
});
after(async () => {
  await Promise.all([vault.stop(), moto.stop()]);
});

const tried: string[] = [];

async function block(name: string): Promise<Finished> {
  tried.push(name);
  const text = blocks.get(name) ?? assert.fail(`there is no block ${name}`);
  const finished = await run('bash', ['-euc', text], { cwd: folder, env });
  assert.equal(finished.status, 0, `${name}: ${finished.stderr}`);
  return finished;
}

const file = (name: string): string => readFileSync(join(folder, name), 'utf8');
const keysIn = (name: string): string[] =>
  parseHeader(Buffer.from(file(name), 'base64'))?.encryptedDataKeys.map(({ keyName }) => keyName) ??
  [];
const encrypt = async (args: string[], KEY_ID: string, stdin = secret): Promise<void> => {
  const { status, stderr } = await run('kms-encrypt', args, {
    cwd: folder,
    env: { ...env, KEY_ID },
    stdin,
  });
  assert.equal(status, 0, stderr);
};

test('the blocks of the page, one after the other', async (t) => {
  await t.test('a key', async () => {
    const { stdout } = await block('key');
    assert.ok(stdout.toString().endsWith(secret));
    assert.deepEqual(keysIn('secret.b64'), ['transit/kms-poc']);
  });

  await t.test('policies: who may encrypt can’t decrypt, and alice is not bob', async () => {
    await block('policies');
    await block('policy-user');
    assert.equal((await block('token')).stdout.toString(), secret);
    const encrypted = file('secret.b64');
    const token = async (policy: string): Promise<string> =>
      String((await vault.call('auth/token/create', { policies: [policy] })).client_token);
    const as = async (user: string, BAO_TOKEN: string, KEY_ID = 'vault:kms-poc') => ({
      encrypts: await run('kms-encrypt', ['-u', user], {
        env: { ...env, BAO_TOKEN, KEY_ID },
        stdin: 'x',
      }),
      decrypts: await run('kms-decrypt', ['-u', user], {
        env: { ...env, BAO_TOKEN, KEY_ID },
        stdin: user === 'alice' ? encrypted : file('bob.b64'),
      }),
    });
    await encrypt(['-u', 'bob', '-o', 'bob.b64'], 'vault:kms-poc');
    const statuses = await Promise.all(
      (
        [
          ['alice', await token('kms-poc-encrypt')],
          ['alice', await token('kms-poc-decrypt')],
          ['alice', await token('kms-poc-alice')],
          ['bob', await token('kms-poc-alice')],
        ] as const
      ).map(async ([user, name]) => {
        const { encrypts, decrypts } = await as(user, name);
        return [encrypts.status, decrypts.status];
      }),
    );
    assert.deepEqual(statuses, [
      [0, 4],
      [4, 0],
      [0, 0],
      [4, 4],
    ]);
  });

  await t.test('a backup key made in Vault', async () => {
    assert.ok((await block('rsa')).stdout.toString().endsWith(secret));
  });

  await t.test('leaving AWS', async () => {
    await block('aws-backup');
    assert.deepEqual(keysIn('from-the-start.b64'), [kmsKey.keyArn, 'transit/kms-poc']);
    const untouched = file('from-the-start.b64');
    await encrypt(['-u', 'alice', '-o', 'old.b64'], kmsKey.keyArn);
    const lines = '{"user":"alice","message":"one"}\n{"user":"bob","message":"two"}\n';
    await encrypt(['--batch', '-o', 'messages.jsonl'], kmsKey.keyArn, lines);
    await block('aws-move');
    assert.deepEqual(keysIn('old.b64'), ['transit/kms-poc']);
    env = { ...env, AWS_ENDPOINT_URL: refusingEndpoint };
    assert.equal((await block('aws-leave')).stdout.toString(), secret.repeat(3));
    assert.equal(file('from-the-start.b64'), untouched);
    const batch = await run('kms-decrypt', ['--batch', '-k', 'vault:kms-poc'], {
      env,
      stdin: file('messages.jsonl'),
    });
    assert.equal(batch.stdout.toString(), lines);
  });

  await t.test('rotation, and what it turns off', async () => {
    const stdin = file('secret.b64');
    assert.ok((await block('rotate')).stdout.toString().endsWith(secret));
    const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'vault:kms-poc'], {
      env,
      stdin,
    });
    assert.deepEqual([failure.status, failure.code], [4, 'KeyUnusable']);
  });

  await t.test('the audit log says who opened what, and has no data key', async () => {
    await block('audit');
    const { stdout } = await block('audit-read');
    assert.match(stdout.toString(), /^[\dT:-]{19} token transit\/decrypt\/kms-poc alice\n$/m);
    assert.doesNotMatch(file('audit.log'), /"plaintext":"(?!hmac)/);
    assert.match(page, new RegExp(Buffer.from('\0\x01\0\x04user\0\x05alice').toString('base64')));
  });

  await t.test('the program in Python, for alice alone', async () => {
    await block('python');
    assert.equal(file('opened.txt'), secret);
    const args = ['docs/open_with_vault.py', 'bob', 'transit/kms-poc'];
    const options = { cwd: folder, env, stdin: file('secret.b64') };
    const forBob = await run(pythonProgram('python'), args, options);
    assert.deepEqual([forBob.status, forBob.stdout.length], [1, 0]);
    assert.equal(forBob.stderr, 'This message is not for bob.\n');
  });

  assert.deepEqual(tried.sort(), [...blocks.keys()].sort(), 'each block is run');
  assert.equal(page.match(/^ *```.+$/gm)?.length, blocks.size, 'each block has a name');
});
