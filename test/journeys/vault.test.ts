/** Keys in Vault through the commands: with AWS beside it, after it, and instead of it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { parseHeader } from '../../src/envelope/header.ts';
import {
  commandLine,
  type Environment,
  type Finished,
  run,
  surroundings,
  temporaryFolder,
} from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { type FaultProxy, refusingEndpoint, startFaultProxy } from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { startBao, startVault, type TestVault } from '../support/vault.ts';

const secret = 'this is a secret';
const forAlice = ['-u', 'alice'];
const batch = '{"user":"alice","message":"one"}\n{"user":"bob","message":"two"}\n';

let moto: Moto;
let kmsKey: TestKey;
let vault: TestVault;
/** The public half of a key that Vault made itself. */
let rsaFile: string;
before(async () => {
  [moto, vault] = await Promise.all([startMoto(), startVault()]);
  kmsKey = await moto.createKey();
  await vault.createKey('key');
  await vault.createKey('backup', { type: 'rsa-3072' });
  rsaFile = join(temporaryFolder(), 'backup-public.pem');
  writeFileSync(rsaFile, await publicKeyOf('backup', 1));
});
after(async () => {
  await Promise.all([moto.stop(), vault.stop()]);
});

async function publicKeyOf(name: string, version: number): Promise<string> {
  const { keys } = await vault.call(`transit/keys/${name}`);
  return (keys as Record<number, { public_key: string }>)[version]?.public_key ?? '';
}

async function done(
  command: string,
  args: string[],
  env: Environment,
  stdin: Buffer | string = secret,
): Promise<Finished> {
  const finished = await run(command, args, { env, stdin });
  assert.equal(finished.status, 0, finished.stderr);
  return finished;
}

async function proxied(
  t: { after: (end: () => Promise<void>) => void },
  target = vault.endpoint,
): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ target });
  t.after(() => proxy.stop());
  return proxy;
}

/** What Vault has wrapped, and for which context: a header is public. */
function dataKeyIn(message: Buffer): string {
  const [dataKey] = parseHeader(message)?.info.messageHeader.encryptedDataKeys ?? [];
  return Buffer.from(dataKey?.encryptedDataKey ?? []).toString();
}

/** As docs/vault.md says: the number of pairs, then each name and value after its length. */
const associatedData = (user: string): string =>
  Buffer.from(`\0\x01\0\x04user\0${String.fromCharCode(user.length)}${user}`).toString('base64');

const atOnce = { concurrency: 3 };

describe('a symmetric key', atOnce, () => {
  for (const [key, type, name] of [
    ['vault:aes', 'aes256-gcm96', 'transit/aes'],
    ['vault:team/transit/cha', 'chacha20-poly1305', 'team/transit/cha'],
  ] as const) {
    test(`of type ${type}: alice gets it back, bob does not, and no call is made for him`, async (t) => {
      const proxy = await proxied(t);
      const env = { ...vault.env, VAULT_ADDR: proxy.endpoint, KEY_ID: key };
      if (key.includes('/')) await vault.call('sys/mounts/team/transit', { type: 'transit' });
      await vault.call(name.replace(/(\w+)$/, 'keys/$1'), { type });
      const { stdout } = await done('kms-encrypt', [...forAlice, '--json'], env);
      const answer = JSON.parse(stdout.toString()) as Record<string, unknown>;
      assert.deepEqual(
        [answer.key, answer.keys, answer.format],
        [`Vault key ${name}`, [`Vault key ${name}`], 'aws-encryption-sdk'],
      );
      const opened = await done('kms-decrypt', forAlice, env, stdout);
      assert.equal(opened.stdout.toString(), secret);
      assert.equal(opened.stderr, '');
      const calls = proxy.count();
      const refused = await failureOf('kms-decrypt', ['-u', 'bob'], { env, stdin: stdout });
      assert.deepEqual([refused.code, proxy.count()], ['WrongUser', calls]);
      const inspected = await done('kms-decrypt', ['--inspect'], {}, stdout);
      assert.match(
        inspected.stdout.toString(),
        new RegExp(`^opens with {2}Vault key ${name}$`, 'm'),
      );
    });
  }

  test('binds the user in Vault itself, signed or not', async () => {
    const plain = await done(
      'kms-encrypt',
      [...forAlice, '-k', 'vault:key', '--binary'],
      vault.env,
    );
    const open = (data: string, message = plain.stdout) =>
      vault.call('transit/decrypt/key', { ciphertext: dataKeyIn(message), associated_data: data });
    await assert.doesNotReject(open(associatedData('alice')));
    await assert.rejects(open(associatedData('bob')), /message authentication failed/);
    await assert.rejects(open(''), /message authentication failed/);
    const args = [...forAlice, '-k', 'vault:key', '--binary', '--sign'];
    const signed = await done('kms-encrypt', args, vault.env);
    await assert.rejects(open(associatedData('alice'), signed.stdout), /authentication failed/);
    const required = [...forAlice, '-k', 'vault:key', '--require-signed'];
    const opened = await done('kms-decrypt', required, vault.env, signed.stdout);
    assert.equal(opened.stdout.toString(), secret);
  });

  test('with a policy for one user opens only that user’s messages', async () => {
    const token = await vault.createToken(
      `path "transit/decrypt/key" {
        capabilities = ["update"]
        allowed_parameters = { "ciphertext" = [], "associated_data" = ["${associatedData('alice')}"] }
      }
      path "transit/encrypt/key" {
        capabilities = ["update"]
        allowed_parameters = { "plaintext" = [], "type" = ["none"], "associated_data" = ["${associatedData('alice')}"] }
      }`,
    );
    const env = { ...vault.env, VAULT_TOKEN: token };
    const mine = await done('kms-encrypt', [...forAlice, '-k', 'vault:key'], env);
    const opened = await done('kms-decrypt', [...forAlice, '-k', 'vault:key'], env, mine.stdout);
    assert.equal(opened.stdout.toString(), secret);
    const bobs = ['-u', 'bob', '-k', 'vault:key'];
    assert.equal((await failureOf('kms-encrypt', bobs, { env, stdin: 'x' })).code, 'AccessDenied');
    const { stdout: message } = await done('kms-encrypt', bobs, vault.env);
    const refused = await failureOf('kms-decrypt', bobs, { env, stdin: message });
    assert.deepEqual([refused.status, refused.code], [4, 'AccessDenied']);
    assert.match(refused.hint ?? '', /perhaps for this user alone/);
  });

  test('in a batch is asked once for each user and data key', async (t) => {
    const proxy = await proxied(t);
    const env = { ...vault.env, VAULT_ADDR: proxy.endpoint, KEY_ID: 'vault:key' };
    const lines = Array.from(
      { length: 200 },
      (_, id) => `{"user":"${id % 2 === 0 ? 'alice' : 'bob'}","message":"${id}"}\n`,
    ).join('');
    const encrypted = await done('kms-encrypt', ['--batch'], env, lines);
    assert.deepEqual([proxy.count(), proxy.count('encrypt')], [2, 2]);
    const decrypted = await done('kms-decrypt', ['--batch'], env, encrypted.stdout);
    assert.equal(decrypted.stdout.toString(), lines);
    assert.deepEqual([proxy.count(), proxy.count('decrypt')], [4, 2]);
  });
});

describe('an RSA key', atOnce, () => {
  test('opens what its public half encrypted, after it was rotated too, and in a batch', async (t) => {
    await vault.createKey('turned', { type: 'rsa-3072' });
    const file = join(temporaryFolder(), 'turned.pem');
    writeFileSync(file, await publicKeyOf('turned', 1));
    const key = ['-k', `rsa:${file}`];
    const one = await done('kms-encrypt', [...forAlice, ...key], {});
    const many = await done('kms-encrypt', ['--batch', ...key], {}, batch);
    await vault.call('transit/keys/turned/rotate', {});
    const proxy = await proxied(t);
    const env = { ...vault.env, VAULT_ADDR: proxy.endpoint };
    const opened = await done('kms-decrypt', [...forAlice, '-k', 'vault:turned'], env, one.stdout);
    assert.equal(opened.stdout.toString(), secret);
    proxy.reset();
    const all = await done('kms-decrypt', ['--batch', '-k', 'vault:turned'], env, many.stdout);
    assert.equal(all.stdout.toString(), batch);
    assert.deepEqual([proxy.count('keys'), proxy.count('decrypt')], [1, 2]);
  });
});

describe('with AWS', atOnce, () => {
  test('one message has a key in each, and opens when either is dead', async () => {
    const env = { ...moto.env, ...vault.env, KEY_ID: kmsKey.keyArn, BACKUP_KEYS: 'vault:key' };
    const { stdout: message } = await done('kms-encrypt', forAlice, env);
    const [withoutVault, withoutAws] = await Promise.all([
      done('kms-decrypt', forAlice, { ...env, VAULT_ADDR: refusingEndpoint }, message),
      done('kms-decrypt', forAlice, { ...env, AWS_ENDPOINT_URL: refusingEndpoint }, message),
    ]);
    assert.equal(withoutVault.stdout.toString(), secret);
    assert.equal(withoutAws.stdout.toString(), secret);
    assert.match(withoutAws.stderr, /opened with another key: Vault key transit\/key\./);
    // Encrypting takes both: never a message with fewer keys than asked for.
    const failure = await failureOf('kms-encrypt', forAlice, {
      env: { ...env, VAULT_ADDR: refusingEndpoint },
      stdin: 'x',
    });
    assert.deepEqual([failure.status, failure.code], [5, 'Unavailable']);
  });

  test('what KMS encrypted itself moves to Vault, and what has an RSA key needs no move', async () => {
    const aws = { ...moto.env, KEY_ID: kmsKey.keyArn };
    const blob = await done('kms-encrypt', forAlice, aws);
    const withBackup = await done('kms-encrypt', forAlice, {
      ...aws,
      BACKUP_KEYS: `rsa:${rsaFile}`,
    });
    const move = [...forAlice, '--to-key', 'vault:key'];
    const moved = await done('kms-reencrypt', move, { ...aws, ...vault.env }, blob.stdout);
    const env = { ...vault.env, KEY_ID: 'vault:key', DECRYPT_KEYS: 'vault:backup' };
    for (const message of [moved.stdout, withBackup.stdout]) {
      const opened = await done('kms-decrypt', forAlice, env, message);
      assert.equal(opened.stdout.toString(), secret);
    }
    // In place: the file is replaced once Vault has opened it.
    const file = join(temporaryFolder(), 'secret.b64');
    writeFileSync(file, blob.stdout);
    await done('kms-reencrypt', [...move, '-i', file, '-o', file], { ...aws, ...vault.env });
    const opened = await done('kms-decrypt', [...forAlice, '-i', file], env);
    assert.equal(opened.stdout.toString(), secret);
  });
});

describe('the settings', atOnce, () => {
  let message: Buffer;
  before(async () => {
    message = (await done('kms-encrypt', [...forAlice, '-k', 'vault:key'], vault.env)).stdout;
  });
  const key = [...forAlice, '-k', 'vault:key'];

  test('BAO_ goes before VAULT_, and a token may be where a login leaves it', async () => {
    const both = { BAO_ADDR: vault.endpoint, VAULT_ADDR: refusingEndpoint, BAO_TOKEN: 'root' };
    await done('kms-decrypt', key, { ...both, VAULT_TOKEN: 'wrong' }, message);
    const home = temporaryFolder();
    const file = join(home, '.vault-token');
    writeFileSync(file, 'root\n', { mode: 0o600 });
    const env = { VAULT_ADDR: `${vault.endpoint}/` };
    const opened = await run('kms-decrypt', key, { env, home, stdin: message });
    assert.deepEqual([opened.stdout.toString(), opened.stderr], [secret, '']);
    chmodSync(file, 0o644);
    const readable = await run('kms-decrypt', key, { env, home, stdin: message });
    assert.match(readable.stderr, /other users can read .*\.vault-token\. Run: chmod 600 /);
  });

  test('an agent needs no token', async (t) => {
    const folder = temporaryFolder();
    const [config, tokenFile] = [join(folder, 'agent.hcl'), join(folder, 'token')];
    const port = await freePort();
    writeFileSync(tokenFile, 'root');
    writeFileSync(
      config,
      `vault { address = "${vault.endpoint}" }
       auto_auth { method "token_file" { config = { token_file_path = "${tokenFile}" } } }
       api_proxy { use_auto_auth_token = true }
       listener "tcp" {
         address = "127.0.0.1:${port}"
         tls_disable = true
         require_request_header = true
       }`,
    );
    const agent = await startBao(['agent', '-config', config], /authentication successful/);
    t.after(() => agent.stop());
    const env = { VAULT_ADDR: `http://127.0.0.1:${port}` };
    const opened = await done('kms-decrypt', key, env, message);
    assert.equal(opened.stdout.toString(), secret);
  });

  test('none is taken from an .env that nobody named, and nothing is sent', async (t) => {
    const proxy = await proxied(t);
    for (const name of ['VAULT_ADDR', 'BAO_TOKEN', 'VAULT_NAMESPACE', 'VAULT_CACERT']) {
      const cwd = temporaryFolder();
      const value = name === 'VAULT_ADDR' ? proxy.endpoint : 'x';
      writeFileSync(join(cwd, '.env'), `${name}=${value}\n`, { mode: 0o600 });
      const address = name === 'VAULT_ADDR' ? {} : { VAULT_ADDR: proxy.endpoint };
      const options = { cwd, env: address, stdin: message };
      const failure = await failureOf('kms-decrypt', key, options);
      assert.deepEqual([failure.status, failure.code], [2, 'Usage'], name);
      assert.match(failure.message, new RegExp(`^${name} in \\.env is not used`));
      assert.match(failure.hint ?? '', /--env-file \.env$/);
    }
    assert.equal(proxy.count(), 0);
  });

  test('a named file may have them all, but no address in the open', async () => {
    const cwd = temporaryFolder();
    const file = join(cwd, 'vault.env');
    const write = (address: string): void => {
      const lines = `KEY_ID=vault:key\nVAULT_ADDR=${address}\nVAULT_TOKEN=root\n`;
      writeFileSync(file, lines, { mode: 0o600 });
    };
    write(vault.endpoint);
    const args = [...forAlice, '--env-file', file];
    const opened = await run('kms-decrypt', args, { cwd, stdin: message });
    assert.deepEqual([opened.stdout.toString(), opened.stderr], [secret, '']);
    write('http://vault.example.com:8200');
    const failure = await failureOf('kms-decrypt', args, { cwd, stdin: message });
    assert.match(
      failure.message,
      /would send data keys to vault\.example\.com:8200 without encryp/,
    );
  });

  test('an address in the open is named, --quiet or not', async () => {
    const env = { ...vault.env, VAULT_ADDR: vault.endpoint.replace('127.0.0.1', '0.0.0.0') };
    const { stderr } = await done('kms-decrypt', ['-q', ...key], env, message);
    assert.equal(
      stderr,
      'kms-decrypt: data keys and the Vault token are sent to 0.0.0.0, without encryption.\n',
    );
  });

  test('without an address, or with none that can be, nothing is asked', async () => {
    const none = await failureOf('kms-decrypt', key, { stdin: message });
    assert.deepEqual([none.code, none.status], ['Usage', 2]);
    assert.match(none.hint ?? '', /^Set BAO_ADDR or VAULT_ADDR/);
    for (const VAULT_ADDR of ['vault.example.com', 'ftp://x', 'https://user:password@x']) {
      const failure = await failureOf('kms-decrypt', key, { env: { VAULT_ADDR }, stdin: message });
      assert.match(failure.message, /^VAULT_ADDR is not an http or https URL\.$/);
    }
    for (const name of ['vault:', 'vault:a/../b', 'vault:/a', 'vault:a/', 'vault:a b', 'vault:.']) {
      const failure = await failureOf('kms-decrypt', [...forAlice, '-k', name], { stdin: message });
      assert.match(failure.message, /^--key has no name of a transit key after vault:\.$/, name);
    }
  });
});

/** Free a moment ago. */
async function freePort(): Promise<number> {
  const proxy = await startFaultProxy();
  const { port } = new URL(proxy.endpoint);
  await proxy.stop();
  return Number(port);
}

test('a server that is killed in the middle of a batch: what was done is written, status 5', async () => {
  const other = await startVault();
  await other.createKey('key');
  const env = { ...other.env, KEY_ID: 'vault:key' };
  const { file, args } = commandLine('kms-encrypt', ['--batch']);
  const child = spawn(file, args, { ...surroundings({ env }), stdio: 'pipe' });
  child.stdin.write('{"user":"alice","message":"one"}\n');
  const [first] = (await once(child.stdout, 'data')) as [Buffer];
  assert.match(first.toString(), /^\{"user":"alice","ciphertext":"[^"]+"\}\n$/);
  await other.stop();
  child.stdin.end('{"user":"bob","message":"two"}\n');
  let said = '';
  let more = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => (more += chunk.toString()));
  const [status] = (await once(child, 'close')) as [number];
  assert.deepEqual([status, more], [5, '']);
  assert.match(said, /^kms-encrypt: (?:The connection to )?Vault at .* (?:refused|was lost)/);
});

interface Row {
  section: string;
  name: string;
  state: string;
  detail: string;
  hint?: string;
  error?: { code: string };
}

async function doctor(env: Environment, args: string[] = []): Promise<[number | null, Row[]]> {
  const { status, stdout } = await run('kms-doctor', ['--json', ...args], { env });
  return [status, (JSON.parse(stdout.toString()) as { checks: Row[] }).checks];
}

const rowOf = (rows: Row[], name: string, section?: string): Row =>
  rows.find((row) => row.name === name && (section ?? row.section) === row.section) ??
  assert.fail(`no row ${name} in ${JSON.stringify(rows, null, 1)}`);

describe('kms-doctor', atOnce, () => {
  test('looks at token, key and permissions, and drills the route', async () => {
    const token = await vault.createToken(
      `path "transit/encrypt/key" { capabilities = ["update"] }
       path "transit/decrypt/key" { capabilities = ["update"] }
       path "transit/keys/key" { capabilities = ["read"] }`,
      { ttl: '3590s' }, // 59 minutes for as long as the test takes
    );
    const env = { ...vault.env, VAULT_TOKEN: token, KEY_ID: 'vault:key' };
    const [status, rows] = await doctor(env);
    assert.equal(status, 0);
    assert.match(
      rowOf(rows, 'Vault address').detail,
      /^http:\/\/127\.0\.0\.1:\d+, set by VAULT_ADDR/,
    );
    assert.equal(rowOf(rows, 'Vault token', 'settings').detail, 'not shown, set by VAULT_TOKEN');
    assert.match(
      rowOf(rows, 'Vault token', 'identity').detail,
      /^token, with default, test-\d+, expires in 59 min$/,
    );
    assert.equal(
      rowOf(rows, 'KEY_ID', 'keys').detail,
      'vault:key: aes256-gcm96, version 1, opens from version 1 on',
    );
    const may = rowOf(rows, 'KEY_ID, permissions');
    assert.deepEqual([may.state, may.detail], ['ok', 'may encrypt, may decrypt, may read the key']);
    assert.match(rowOf(rows, 'KEY_ID', 'routes').detail, /^vault:key opened it/);
    assert.doesNotMatch(JSON.stringify(rows), new RegExp(token));
  });

  test('finds in Vault the private half of a backup key', async () => {
    const env = { ...moto.env, ...vault.env, KEY_ID: 'vault:key', BACKUP_KEYS: `rsa:${rsaFile}` };
    const [status, rows] = await doctor({ ...env, DECRYPT_KEYS: 'vault:backup' });
    assert.equal(status, 0, JSON.stringify(rows, null, 1));
    assert.match(
      rowOf(rows, 'backup key 1 alone').detail,
      /^vault:backup, the private key for rsa:.*-public\.pem, opened it \([0-9a-f]{32}\)$/,
    );
    assert.match(
      rowOf(rows, 'old key 1', 'routes').detail,
      /^vault:backup opened a message of its own: it is the private key for backup key 1 /,
    );
    assert.match(rowOf(rows, 'Vault token', 'identity').hint ?? '', /policy of its own/);
    assert.equal(rowOf(rows, 'KEY_ID, permissions').state, 'advice');
    const [drilled, drill] = await doctor(env, ['--key', 'vault:backup']);
    assert.equal(drilled, 0, JSON.stringify(drill, null, 1));
    assert.equal(rowOf(drill, '--key is a backup key').detail, 'the private key for backup key 1');
  });

  test('an RSA key in Vault is no backup key: nothing can be encrypted with it', async () => {
    const env = { ...vault.env, KEY_ID: 'vault:key', BACKUP_KEYS: 'vault:backup' };
    const [status, rows] = await doctor(env);
    const row = rowOf(rows, 'encrypt with all keys');
    assert.deepEqual([status, row.state], [4, 'wrong'], JSON.stringify(rows, null, 1));
    assert.equal(row.error?.code, 'KeyUnusable');
  });

  test('says what is wrong with a key, and what can’t be seen is no failure', async () => {
    await vault.createKey('wrong', { derived: true });
    await vault.createKey('loose');
    await vault.call('transit/keys/loose/config', { deletion_allowed: true });
    const token = await vault.createToken(
      'path "transit/decrypt/key" { capabilities = ["update"] }',
    );
    const [[status, rows], [, loose], [blind, hidden], [dead]] = await Promise.all([
      doctor({ ...vault.env, KEY_ID: 'vault:wrong' }),
      doctor({ ...vault.env, KEY_ID: 'vault:loose' }),
      doctor({ ...vault.env, KEY_ID: 'local', VAULT_TOKEN: token, DECRYPT_KEYS: 'vault:key' }),
      doctor({ ...vault.env, KEY_ID: 'vault:key', VAULT_ADDR: refusingEndpoint }),
    ]);
    assert.equal(status, 4);
    assert.equal(rowOf(rows, 'KEY_ID', 'keys').error?.code, 'KeyUnusable');
    assert.match(rowOf(loose, 'KEY_ID', 'keys').detail, /it can be deleted$/);
    assert.equal(blind, 0, JSON.stringify(hidden, null, 1));
    assert.equal(rowOf(hidden, 'old key 1', 'keys').state, 'skipped');
    assert.equal(rowOf(hidden, 'old key 1', 'routes').state, 'skipped');
    assert.match(rowOf(hidden, 'old key 1, permissions').detail, /^may not encrypt, may decrypt/);
    assert.equal(dead, 5);
  });
});

test('nothing of it is loaded without a Vault key', () => {
  const parts = join(import.meta.dirname, '..', '..', 'dist', 'parts');
  const textOf = (part: string): string => readFileSync(join(parts, part), 'utf8');
  const isClient = (part: string): boolean => textOf(part).includes('x-vault-token');
  /** A part that is loaded only when it is asked for is not required at the start of a line. */
  const needsClient = (part: string): boolean =>
    isClient(part) ||
    [...textOf(part).matchAll(/^const \w+ = require\("\.\/([^"]+)"\)/gm)].some(([, needed = '']) =>
      needsClient(needed),
    );
  const all = readdirSync(parts);
  assert.deepEqual(all.filter(isClient), ['vault.js']);
  assert.deepEqual(
    all.filter((part) => needsClient(part) && !part.startsWith('vault')),
    [],
  );
  assert.ok(needsClient('vault-wrapping-key.js'));
});
