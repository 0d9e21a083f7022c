/** What a real server answers when something is wrong, and what its users are told. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';

import { parseHeader } from '../../src/envelope/header.ts';
import { type Environment, type Finished, run, temporaryFolder } from '../support/command.ts';
import { type Failure, failureOf } from '../support/failure.ts';
import { htmlPage, refusingEndpoint, startFaultProxy } from '../support/fault-proxy.ts';
import { makeRsaPair } from '../support/rsa-keys.ts';
import { startVault, type TestVault } from '../support/vault.ts';

let vault: TestVault;
/** Encrypted for alice with the key `key`. */
let message: Buffer;
let silence: ReturnType<typeof waitInVain>;
before(async () => {
  silence = waitInVain(); // meanwhile everything else runs
  vault = await startVault();
  await vault.createKey('key');
  message = await encrypt('vault:key');
});
after(() => vault.stop());

const forAlice = ['-u', 'alice'];

async function encrypt(key: string, env: Environment = {}): Promise<Buffer> {
  const finished = await run('kms-encrypt', [...forAlice, '-k', key, '--binary'], {
    stdin: 'a secret',
    env: { ...vault.env, ...env },
  });
  assert.equal(finished.status, 0, finished.stderr);
  return finished.stdout;
}

const failsToEncrypt = (key: string, env: Environment = {}): Promise<Failure> =>
  failureOf('kms-encrypt', [...forAlice, '-k', key], {
    stdin: 'a secret',
    env: { ...vault.env, ...env },
  });

const failsToDecrypt = (key: string, env: Environment = {}, stdin = message): Promise<Failure> =>
  failureOf('kms-decrypt', [...forAlice, '-k', key], { stdin, env: { ...vault.env, ...env } });

/** Two keys on a server that accepts requests and says nothing. */
async function waitInVain(): Promise<{ failure: Failure; seconds: number; calls: number }> {
  const proxy = await startFaultProxy();
  proxy.fault({ kind: 'silence' });
  const begin = performance.now();
  const failure = await failureOf('kms-encrypt', [...forAlice, '-k', 'vault:key'], {
    stdin: 'a secret',
    env: { VAULT_ADDR: proxy.endpoint, VAULT_TOKEN: 'x', BACKUP_KEYS: 'vault:other' },
  });
  const seconds = (performance.now() - begin) / 1000;
  const calls = proxy.count();
  await proxy.stop();
  return { failure, seconds, calls };
}

const decrypt = (key: string, env: Environment = {}, stdin = message): Promise<Finished> =>
  run('kms-decrypt', [...forAlice, '-k', key], { stdin, env: { ...vault.env, ...env } });

function assertFailure(
  failure: Failure,
  code: string,
  status: number,
  message: RegExp,
  hint = /./,
): void {
  assert.deepEqual([failure.code, failure.status], [code, status], failure.message);
  assert.match(failure.message, message);
  assert.match(failure.hint ?? '', hint);
}

/** The message with another text of the same length in its header. */
function withDataKey(change: (text: string) => string): Buffer {
  const text = Buffer.from(
    parseHeader(message)?.info.messageHeader.encryptedDataKeys[0]?.encryptedDataKey ?? [],
  );
  const start = message.indexOf(text);
  const changed = Buffer.from(change(text.toString()));
  assert.equal(changed.length, text.length);
  return Buffer.concat([
    message.subarray(0, start),
    changed,
    message.subarray(start + text.length),
  ]);
}

const atOnce = { concurrency: 3 };

describe('a key', atOnce, () => {
  test('that is not there is not made, and is named', async () => {
    const failure = await failsToEncrypt('vault:kye');
    assertFailure(
      failure,
      'KeyNotFound',
      4,
      /^There is no key transit\/kye on Vault at 127\.0\.0\.1:\d+ \(HTTP 400: unknown key type none\)\.$/,
      /bao write -f transit\/keys\/kye$/,
    );
    const { keys } = await vault.call('transit/keys', undefined, 'LIST');
    assert.ok(!(keys as string[]).includes('kye'));
  });

  test('that was deleted', async () => {
    await vault.createKey('deleted');
    const lost = await encrypt('vault:deleted');
    await vault.call('transit/keys/deleted/config', { deletion_allowed: true });
    await vault.call('transit/keys/deleted', {}, 'DELETE');
    const failure = await failsToDecrypt('vault:deleted', {}, lost);
    assertFailure(failure, 'KeyNotFound', 4, /HTTP 400: encryption key not found/);
  });

  for (const [name, options, says] of [
    [
      'rsa',
      { type: 'rsa-4096' },
      /can't encrypt messages for a user .*non-AEAD cipher suite rsa-4096/,
    ],
    ['ed', { type: 'ed25519' }, /non-AEAD cipher suite ed25519/],
    ['derived', { derived: true }, /^The key transit\/derived is a derived key/],
  ] as const) {
    test(`of another kind: ${name}`, async () => {
      await vault.createKey(name, options);
      assertFailure(await failsToEncrypt(`vault:${name}`), 'KeyUnusable', 4, says);
    });
  }

  test('on a mount that is not there, or of another engine', async () => {
    assertFailure(
      await failsToEncrypt('vault:elsewhere/key'),
      'KeyNotFound',
      4,
      /^There is no transit engine at elsewhere\/ on Vault .*\(HTTP 404: /,
      /^Check the mount/,
    );
    assertFailure(await failsToEncrypt('vault:sys/key'), 'KeyNotFound', 4, /HTTP 40[45]/);
    assertFailure(await failsToEncrypt('vault:cubbyhole/key'), 'Unavailable', 5, /HTTP 204/);
  });

  test('in a namespace that is not there', async () => {
    assertFailure(
      await failsToDecrypt('vault:key', { VAULT_NAMESPACE: 'nowhere' }),
      'KeyNotFound',
      4,
      /^There is no namespace nowhere on Vault at .*\(HTTP 404: namespace not found\)/,
    );
  });

  test('whose old versions were switched off, until they are back', async () => {
    await vault.createKey('rotated');
    const old = await encrypt('vault:rotated');
    await vault.call('transit/keys/rotated/rotate', {});
    assert.equal((await decrypt('vault:rotated', {}, old)).status, 0);
    await vault.call('transit/keys/rotated/config', { min_decryption_version: 2 });
    assertFailure(
      await failsToDecrypt('vault:rotated', {}, old),
      'KeyUnusable',
      4,
      /min_decryption_version \(HTTP 400: too old\)/,
      /bao write transit\/keys\/rotated\/config min_decryption_version=1$/,
    );
    const { stdout } = await decrypt('vault:rotated', {}, await encrypt('vault:rotated'));
    assert.equal(stdout.toString(), 'a secret');
  });
});

describe('a message', atOnce, () => {
  test('of a key with the same name elsewhere is no other than a changed one, and the hint says so', async (t) => {
    await vault.call('sys/namespaces/team', {});
    await vault.call('team/sys/mounts/transit', { type: 'transit' });
    await vault.call('team/transit/keys/key', {});
    const failure = await failsToDecrypt('vault:key', { BAO_NAMESPACE: 'team' });
    assertFailure(
      failure,
      'CannotDecrypt',
      3,
      /^This message can't be decrypted for alice \(HTTP 400: message authentication failed\)\.$/,
      /key of the same name on another server or in another namespace \(this is Vault at [\d.:]+, namespace team\)/,
    );
    t.diagnostic(failure.message);
  });

  for (const [name, change, says, calls] of [
    [
      'a flipped bit',
      (text: string) => text.replace(/.(?=.$)/, (letter) => (letter === 'B' ? 'C' : 'B')),
      /message authentication failed/,
      1,
    ],
    [
      'a version that never was',
      (text: string) => text.replace(':v1:', ':v7:'),
      /version is too new/,
      1,
    ],
    [
      'no ciphertext of Vault',
      (text: string) => text.replace('vault:', '"},{"x'),
      /was changed or damaged/,
      0,
    ],
  ] as const) {
    test(`with ${name} in its data key`, async (t) => {
      const proxy = await startFaultProxy({ target: vault.endpoint });
      t.after(() => proxy.stop());
      const failure = await failsToDecrypt(
        'vault:key',
        { VAULT_ADDR: proxy.endpoint },
        withDataKey(change),
      );
      assertFailure(failure, 'CannotDecrypt', 3, says);
      assert.equal(proxy.count(), calls);
    });
  }

  test('with a changed RSA data key is no outage, and is asked for once', async (t) => {
    const folder = temporaryFolder();
    const { publicKey } = await rsaKey('changed');
    const file = join(folder, 'public.pem');
    writeFileSync(file, publicKey);
    const encrypted = await encrypt(`rsa:${file}`);
    const dataKey = parseHeader(encrypted)?.info.messageHeader.encryptedDataKeys[0];
    const at = encrypted.indexOf(Buffer.from(dataKey?.encryptedDataKey ?? [])) + 9;
    encrypted.writeUInt8(encrypted.readUInt8(at) ^ 1, at);
    const proxy = await startFaultProxy({ target: vault.endpoint });
    t.after(() => proxy.stop());
    const failure = await failsToDecrypt(
      'vault:changed',
      { VAULT_ADDR: proxy.endpoint },
      encrypted,
    );
    assertFailure(failure, 'CannotDecrypt', 3, /HTTP 500: failed to RSA decrypt the ciphertext/);
    assert.deepEqual([proxy.count('keys'), proxy.count('decrypt')], [1, 1]);
  });

  test('of another RSA key is for another key, and nothing is decrypted', async (t) => {
    await rsaKey('pair');
    const other = makeRsaPair(temporaryFolder(), 'other');
    const encrypted = await encrypt(`rsa:${other.publicFile}`);
    const proxy = await startFaultProxy({ target: vault.endpoint });
    t.after(() => proxy.stop());
    for (const name of ['pair', 'key']) {
      const failure = await failsToDecrypt(
        `vault:${name}`,
        { VAULT_ADDR: proxy.endpoint },
        encrypted,
      );
      assertFailure(
        failure,
        'WrongKey',
        3,
        new RegExp(
          `^This message opens with RSA key ${other.fingerprint}, not with vault:${name}\\.$`,
        ),
      );
    }
    assert.equal(proxy.count('decrypt'), 0);
  });
});

async function rsaKey(name: string): Promise<{ publicKey: string }> {
  await vault.createKey(name, { type: 'rsa-3072' });
  const { keys } = await vault.call(`transit/keys/${name}`);
  return { publicKey: (keys as Record<string, { public_key: string }>)['1']?.public_key ?? '' };
}

describe('a token', atOnce, () => {
  test('that is not there is a matter of credentials, not of permission', async () => {
    const failure = await failsToDecrypt('vault:key', { VAULT_TOKEN: undefined });
    assertFailure(
      failure,
      'Credentials',
      4,
      /requires a token, and none was found \(HTTP 403: permission denied\)/,
      /^Log in/,
    );
  });

  test('that was revoked, or may not do it, or is nonsense', async () => {
    const may = 'path "transit/decrypt/key" { capabilities = ["update"] }';
    const token = await vault.createToken(may);
    assert.equal((await decrypt('vault:key', { VAULT_TOKEN: token })).status, 0);
    assertFailure(
      await failsToEncrypt('vault:key', { VAULT_TOKEN: token }),
      'AccessDenied',
      4,
      /^The Vault token is not allowed to encrypt with transit\/key for alice \(HTTP 403\)\.$/,
      /policy lacks update on transit\/encrypt\/key.*or the token has expired/,
    );
    await vault.call('auth/token/revoke', { token });
    assertFailure(
      await failsToDecrypt('vault:key', { VAULT_TOKEN: token }),
      'AccessDenied',
      4,
      /HTTP 403/,
    );
    const broken = await failsToDecrypt('vault:key', { VAULT_TOKEN: 'two\nlines' });
    assertFailure(broken, 'Credentials', 4, /invalid character/);
    assert.doesNotMatch(JSON.stringify(broken), /lines/);
  });

  test('that a newer server calls invalid', async (t) => {
    // As Vault says it since 1.13, and OpenBao doesn't.
    const proxy = await startFaultProxy();
    t.after(() => proxy.stop());
    const body =
      '{"errors":["2 errors occurred:\\n\\t* permission denied\\n\\t* invalid token\\n\\n"]}';
    proxy.fault({ kind: 'answer', status: 403, contentType: 'application/json', body });
    const failure = await failsToDecrypt('vault:key', { VAULT_ADDR: proxy.endpoint });
    assertFailure(failure, 'Credentials', 4, /does not know this token, or it has expired/);
  });
});

describe('the way to the server', { concurrency: 4 }, () => {
  test('a rate limit is waited for, then told', async () => {
    await vault.call('sys/mounts/limited', { type: 'transit' });
    await vault.call('limited/keys/key', {});
    await vault.call('sys/quotas/rate-limit/one', { path: 'limited', rate: 1, interval: '1h' });
    await encrypt('vault:limited/key');
    assertFailure(await failsToEncrypt('vault:limited/key'), 'Throttled', 5, /HTTP 429/);
  });

  for (const [name, fault] of [
    [
      'a failure',
      {
        kind: 'answer',
        status: 500,
        contentType: 'application/json',
        body: '{"errors":["internal error"]}',
      },
    ],
    ['an answer of a load balancer', htmlPage(502)],
    ['a lost connection', { kind: 'reset', when: 'at-request' }],
    ['half an answer', { kind: 'cut' }],
    [
      'a rate limit',
      {
        kind: 'answer',
        status: 429,
        contentType: 'application/json',
        body: '{"errors":["rate limit quota exceeded"]}',
      },
    ],
  ] as const) {
    test(`${name} passes twice, not three times`, async (t: TestContext) => {
      const proxy = await startFaultProxy({ target: vault.endpoint });
      t.after(() => proxy.stop());
      proxy.fault(fault, { times: 2 });
      const { status, stdout } = await decrypt('vault:key', { VAULT_ADDR: proxy.endpoint });
      assert.deepEqual([status, stdout.toString(), proxy.count()], [0, 'a secret', 3]);
      proxy.reset();
      proxy.fault(fault);
      const failure = await failsToDecrypt('vault:key', { VAULT_ADDR: proxy.endpoint });
      assert.equal(failure.status, 5, failure.message);
      assert.equal(proxy.count(), 3);
    });
  }

  for (const [name, fault, says] of [
    [
      'JSON of another kind',
      { kind: 'answer', status: 200, contentType: 'application/json', body: 'null' },
      /HTTP 200/,
    ],
    [
      'no JSON',
      { kind: 'answer', status: 200, contentType: 'text/plain', body: 'hello' },
      /HTTP 200/,
    ],
    ['a page that forbids', htmlPage(403), /unexpected response \(HTTP 403\)/],
    ['a page that is not there', htmlPage(404), /unexpected response \(HTTP 404\)/],
    [
      'data without a plaintext',
      { kind: 'answer', status: 200, contentType: 'application/json', body: '{"data":{"x":1}}' },
      /returned no plaintext/,
    ],
    [
      '2 MiB',
      {
        kind: 'answer',
        status: 200,
        contentType: 'application/json',
        body: `{"data":{"plaintext":"${'A'.repeat(2 ** 21)}"}}`,
      },
      /ANSWER_TOO_LONG/,
    ],
  ] as const) {
    test(`${name} in its place says nothing about the message`, async (t: TestContext) => {
      const proxy = await startFaultProxy();
      t.after(() => proxy.stop());
      proxy.fault(fault);
      assertFailure(
        await failsToDecrypt('vault:key', { VAULT_ADDR: proxy.endpoint }),
        'Unavailable',
        5,
        says,
      );
    });
  }

  test('a data key of another length is none', async (t) => {
    const proxy = await startFaultProxy();
    t.after(() => proxy.stop());
    const plaintext = randomBytes(16).toString('base64');
    const body = JSON.stringify({ data: { plaintext } });
    proxy.fault({ kind: 'answer', status: 200, contentType: 'application/json', body });
    const failure = await failsToDecrypt('vault:key', { VAULT_ADDR: proxy.endpoint });
    assertFailure(failure, 'CannotDecrypt', 3, /./);
  });

  test('an encrypted data key that no header has room for is none', async (t) => {
    const proxy = await startFaultProxy();
    t.after(() => proxy.stop());
    const body = JSON.stringify({ data: { ciphertext: `vault:v1:${'A'.repeat(70_000)}` } });
    proxy.fault({ kind: 'answer', status: 200, contentType: 'application/json', body });
    const failure = await failsToEncrypt('vault:key', { VAULT_ADDR: proxy.endpoint });
    assertFailure(failure, 'Unavailable', 5, /returned no ciphertext/);
  });

  test('a redirect gets no token', async (t) => {
    const [proxy, elsewhere] = await Promise.all([
      startFaultProxy({ target: vault.endpoint }),
      startFaultProxy(),
    ]);
    t.after(() => Promise.all([proxy.stop(), elsewhere.stop()]));
    const headers = { location: `${elsewhere.endpoint}/v1/transit/decrypt/key` };
    proxy.fault({ kind: 'answer', status: 307, contentType: 'text/plain', body: '' });
    proxy.fault({ kind: 'headers', headers });
    const failure = await failsToDecrypt('vault:key', { VAULT_ADDR: proxy.endpoint });
    assertFailure(
      failure,
      'Unavailable',
      5,
      /redirects to another server, and redirects are not followed \(HTTP 307\)/,
    );
    assert.equal(elsewhere.count(), 0);
  });

  test('a server that is not there, or not on this network', async () => {
    const refused = await failsToDecrypt('vault:key', { VAULT_ADDR: refusingEndpoint });
    assertFailure(refused, 'Unavailable', 5, /refused the connection \(ECONNREFUSED\)/);
    const unknown = await failsToDecrypt('vault:key', { VAULT_ADDR: 'https://vault.invalid' });
    assertFailure(
      unknown,
      'Unavailable',
      5,
      /host name of Vault at vault\.invalid can't be resolved/,
    );
  });

  test('a silent server is given up on within 20 seconds, and not asked for the next key', async () => {
    const { failure, seconds, calls } = await silence;
    assertFailure(failure, 'Unavailable', 5, /did not answer in time \(ETIMEDOUT\)/);
    assert.ok(seconds < 22, `${seconds} seconds`);
    assert.equal(calls, 3);
  });

  test('a sealed server, and one that is gone', async () => {
    const other = await startVault();
    await other.call('sys/seal', {}, 'PUT');
    const sealed = await failsToDecrypt('vault:key', other.env);
    assertFailure(
      sealed,
      'Unavailable',
      5,
      /can't answer \(HTTP 503: Vault is sealed\)/,
      /bao operator unseal$/,
    );
    await other.stop();
    assertFailure(await failsToDecrypt('vault:key', other.env), 'Unavailable', 5, /refused/);
  });
});

describe('TLS', () => {
  test('takes the authority that is named, and no other; and each end wants it or not', async (t) => {
    const secure = await startVault({ tls: true });
    t.after(() => secure.stop());
    await secure.createKey('key');
    const folder = temporaryFolder();
    const other = await startVault({ tls: true });
    t.after(() => other.stop());
    const encrypted = await encrypt('vault:key', secure.env);
    const [trusted, bao, ...refusals] = await Promise.all([
      decrypt('vault:key', secure.env, encrypted),
      decrypt(
        'vault:key',
        { ...secure.env, VAULT_CACERT: undefined, BAO_CACERT: secure.certificateFile },
        encrypted,
      ),
      failsToDecrypt('vault:key', { ...secure.env, VAULT_CACERT: undefined }, encrypted),
      failsToDecrypt(
        'vault:key',
        { ...secure.env, VAULT_CACERT: other.certificateFile },
        encrypted,
      ),
      failsToDecrypt(
        'vault:key',
        { VAULT_ADDR: vault.endpoint.replace('http:', 'https:') },
        encrypted,
      ),
    ]);
    assert.deepEqual([trusted.stdout.toString(), bao.stdout.toString()], ['a secret', 'a secret']);
    for (const failure of refusals) {
      assertFailure(failure, 'Unavailable', 5, /is not secure, so nothing was sent/, /CACERT/);
    }
    const plain = { ...secure.env, VAULT_ADDR: secure.endpoint.replace('https:', 'http:') };
    assertFailure(
      await failsToDecrypt('vault:key', plain, encrypted),
      'Unavailable',
      5,
      /unexpected response \(HTTP 400\)/,
      /must begin with https:/,
    );
    const file = join(folder, 'no.pem');
    const missing = await failsToDecrypt(
      'vault:key',
      { ...secure.env, VAULT_CACERT: file },
      encrypted,
    );
    assertFailure(missing, 'Usage', 2, /no such file/);
    writeFileSync(file, 'nothing');
    const none = await failsToDecrypt(
      'vault:key',
      { ...secure.env, VAULT_CACERT: file },
      encrypted,
    );
    assertFailure(none, 'Usage', 2, /holds no certificate/);
  });
});
