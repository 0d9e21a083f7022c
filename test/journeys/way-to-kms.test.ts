/**
 * The way to AWS KMS: what is no word on a message must not be taken for one, and every wait has an
 * end and says what was waited for.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { type Environment, type Finished, run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { awsError, startFaultProxy } from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';

let moto: Moto;
let key: TestKey;
before(async () => {
  moto = await startMoto();
  key = await moto.createKey({ alias: 'theKey' });
});
after(async () => {
  await moto.stop();
});

const forAlice = ['-u', 'alice'];

/** A server that says the same to everybody, or nothing. It doesn't keep the tests alive. */
async function startServer(
  testContext: { after: (end: () => void) => void },
  answer: string | Buffer | undefined,
): Promise<{ endpoint: string; connections: () => number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (answer === undefined) return;
    socket.on('data', () => undefined);
    socket.end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  testContext.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return { endpoint: `http://127.0.0.1:${port}`, connections: () => sockets.size };
}

const secretLine = (user: string, ciphertext: Buffer): string =>
  JSON.stringify({ user, ciphertext: ciphertext.toString('base64') });

describe('what answers in the place of KMS', () => {
  const http = (head: string, body = ''): string => `HTTP/1.1 ${head}\r\n\r\n${body}`;
  const answers: [string, string | Buffer][] = [
    ['a TLS alert', Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46])],
    ['the banner of SSH', 'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n'],
    ['a Content-Length that is none', http('200 OK\r\nContent-Length: many', '{}')],
    ['two Content-Lengths', http('200 OK\r\nContent-Length: 2\r\nContent-Length: 3', '{}')],
    ['headers without an end', http(`200 OK\r\nX: ${'x'.repeat(20_000)}`, '{}')],
    ['a chunk of no size', http('200 OK\r\nTransfer-Encoding: chunked', 'zz\r\n')],
    ['nothing', ''],
    ['half a JSON', http('200 OK\r\nContent-Length: 10', '{"Plaintex')],
    ['JSON of another kind', http('200 OK\r\nContent-Length: 4', 'null')],
    ['no JSON at all', http('200 OK\r\nContent-Length: 5', 'hello')],
    [
      'an answer of 2 MiB',
      http(
        `200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: ${2 ** 21}`,
        `{"Plaintext":"${'A'.repeat(2 ** 21 - 16)}"}`,
      ),
    ],
  ];
  for (const [name, answer] of answers) {
    test(`${name}: status 5, and a batch ends`, async (t) => {
      const { endpoint } = await startServer(t, answer);
      const good = { env: { ...moto.env, KEY_ID: key.keyArn } };
      const bad = {
        env: { ...good.env, AWS_ENDPOINT_URL: endpoint, AWS_MAX_ATTEMPTS: '1' },
      };
      const encrypt = async (stdin: string): Promise<Buffer> =>
        (await run('kms-encrypt', ['-q', ...forAlice, '--binary'], { ...good, stdin })).stdout;
      const [blob, message] = await Promise.all([encrypt('x'), encrypt('x'.repeat(5000))]);
      const outcomes = await Promise.all([
        failureOf('kms-encrypt', forAlice, { ...bad, stdin: 'x' }),
        failureOf('kms-decrypt', forAlice, { ...bad, stdin: blob }),
        failureOf('kms-decrypt', forAlice, { ...bad, stdin: message }),
        failureOf('kms-reencrypt', [...forAlice, '--to-key', key.keyArn], {
          ...bad,
          stdin: message,
        }),
      ]);
      for (const { status, code } of outcomes) assert.deepEqual([status, code], [5, 'Unavailable']);

      const stdin = [message, message, blob].map((each) => secretLine('alice', each)).join('\n');
      const batch = await run('kms-decrypt', ['-q', '--batch'], { ...bad, stdin });
      assert.deepEqual([batch.status, batch.stdout.length], [5, 0]);
    });
  }
});

describe('credentials', () => {
  /** A home folder with this AWS configuration. */
  function configured(config: string): { home: string; env: Environment } {
    const home = temporaryFolder();
    mkdirSync(join(home, '.aws'));
    writeFileSync(join(home, '.aws', 'config'), config);
    const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
    return { home, env: { ...moto.env, ...none, KEY_ID: key.keyArn } };
  }
  const timed = async (
    running: Promise<Finished>,
  ): Promise<Finished & { readonly seconds: number }> => {
    const begin = performance.now();
    return { ...(await running), seconds: (performance.now() - begin) / 1000 };
  };

  // Both at once: each takes its 20 seconds.
  test('that never come are waited for 20 seconds, once, and the program is ended', async (t) => {
    const silent = await startServer(t, undefined);
    const pidFile = join(temporaryFolder(), 'pid');
    const script = join(temporaryFolder(), 'ask-me');
    writeFileSync(script, `#!/bin/sh\necho $$ > ${pidFile}\necho SENTINEL >&2\nexec sleep 300\n`, {
      mode: 0o700,
    });
    const asking = configured(`[profile asking]\ncredential_process = ${script}\n`);
    const role = configured(
      '[profile role]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = base\n' +
        '[profile base]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n',
    );
    const blob = (
      await run('kms-encrypt', ['-q', ...forAlice, '-k', key.keyArn], { env: moto.env, stdin: 'x' })
    ).stdout;
    const keys = { DECRYPT_KEYS: 'alias/a,alias/b,alias/c' };
    const limits = { timeoutMs: 60_000, stdin: blob };
    const [byProcess, byRole] = await Promise.all([
      timed(
        run('kms-decrypt', [...forAlice, '--profile', 'asking'], {
          ...{ ...asking, ...limits },
          env: { ...asking.env, ...keys },
        }),
      ),
      timed(
        run('kms-decrypt', [...forAlice, '--profile', 'role'], {
          ...{ ...role, ...limits },
          env: { ...role.env, ...keys, AWS_ENDPOINT_URL_STS: silent.endpoint },
        }),
      ),
    ]);
    for (const { status, stdout, seconds } of [byProcess, byRole]) {
      assert.deepEqual([status, stdout.length], [4, 0]);
      assert.ok(seconds > 15 && seconds < 30, `${seconds} seconds`);
    }
    assert.match(
      byProcess.stderr,
      /^kms-decrypt: The credential_process of the AWS profile asking gave no credentials within 20 seconds, and was ended/m,
    );
    assert.doesNotMatch(byProcess.stderr, /SENTINEL/);
    assert.match(
      byRole.stderr,
      // The SDK's own time-outs may be over first.
      /^kms-decrypt: (?:No AWS credentials came within 20 seconds|Could not load AWS credentials) from the profile role \(the role arn:aws:iam::111122223333:role\/r\)/m,
    );
    assert.ok(existsSync(pidFile));
    const pid = Number(readFileSync(pidFile, 'utf8'));
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'the program is ended');
  });

  const failing: [name: string, config: string, says: RegExp, hint: RegExp, env?: Environment][] = [
    [
      'a program that fails',
      '[profile p]\ncredential_process = sh -c "echo SENTINEL >&2; exit 3"\n',
      /^The credential_process of the AWS profile p failed with status 3 /,
      /aws configure get credential_process --profile p$/,
    ],
    [
      'a program that is not there',
      '[profile p]\ncredential_process = /no/such/program SENTINEL\n',
      /^The credential_process of the AWS profile p failed with status 127 /,
      /aws configure get credential_process/,
    ],
    [
      'a program that prints something else',
      '[profile p]\ncredential_process = echo SENTINEL\n',
      /^The credential_process of the AWS profile p did not print valid credentials /,
      /aws configure get credential_process/,
    ],
    [
      'an MFA code that is needed',
      '[profile p]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = b\n' +
        'mfa_serial = arn:aws:iam::111122223333:mfa/m\n' +
        '[profile b]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n',
      /^The AWS profile p needs an MFA code, which is not asked for here /,
      /get-session-token/,
    ],
    [
      'a session of SSO that never began',
      '[profile p]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n' +
        '[sso-session s]\nsso_start_url = https://example.invalid\nsso_region = eu-central-1\n',
      /^The AWS profile p is not signed in, or its session has expired /,
      /^Sign in: aws sso login --profile p$/,
    ],
    [
      'a profile that is empty',
      '[profile p]\nregion = eu-central-1\n',
      /^Could not load AWS credentials from the profile p /,
      /aws sso login/,
    ],
    [
      'a container that gives none',
      '[profile q]\n',
      /^Could not load AWS credentials from the environment or the container /,
      /aws sso login/,
      { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/', AWS_PROFILE: undefined },
    ],
  ];
  for (const [name, config, says, hint, more = {}] of failing) {
    test(`${name}: it says so, in words of its own`, async () => {
      const { home, env } = configured(config);
      const all = { AWS_PROFILE: 'p', DEBUG: 'kms-poc', ...more };
      const options = { home, env: { ...env, ...all }, stdin: 'x' };
      const failure = await failureOf('kms-encrypt', forAlice, {
        ...options,
        env: { ...options.env, DEBUG: undefined },
      });
      assert.deepEqual([failure.status, failure.code], [4, 'Credentials']);
      assert.match(failure.message, says);
      assert.match(failure.hint ?? '', hint);
      const { stderr } = await run('kms-encrypt', forAlice, options);
      assert.doesNotMatch(stderr, /SENTINEL/);
    });
  }

  test('a pair with a temporary key is told that it lacks its token', async () => {
    const failure = await failureOf('kms-encrypt', forAlice, {
      env: {
        ...moto.env,
        KEY_ID: key.keyArn,
        ENCRYPTOR_AWS_ACCESS_KEY_ID: 'ASIAIOSFODNN7EXAMPLE',
        ENCRYPTOR_AWS_SECRET_ACCESS_KEY: 'x',
      },
      stdin: 'x',
    });
    assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
    assert.match(failure.message, /ENCRYPTOR_AWS_ACCESS_KEY_ID is a temporary key \(ASIA…\)/);
    assert.match(failure.hint ?? '', /profile/);
  });

  test('no warning of the SDK is printed', async () => {
    const { home } = configured(
      '[profile p]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n',
    );
    const env = { ...moto.env, KEY_ID: key.keyArn, AWS_PROFILE: 'p', AWS_ENDPOINT_URL: undefined };
    const all = { ...env, AWS_ENDPOINT_URL_KMS: moto.endpoint, NODE_OPTIONS: '--trace-warnings' };
    const { status, stderr } = await run('kms-encrypt', forAlice, { home, env: all, stdin: 'x' });
    assert.equal(status, 0);
    assert.match(stderr, /^kms-encrypt: messages are sent to 127\.0\.0\.1[^\n]*\n$/);
  });
});

describe('a Region that is silent', () => {
  test('is waited for once, whatever the number of keys', async (t) => {
    const proxy = await startFaultProxy({ target: moto.endpoint });
    t.after(() => proxy.stop());
    const env = { ...moto.env, AWS_ENDPOINT_URL: proxy.endpoint, AWS_MAX_ATTEMPTS: '1' };
    const keys = await Promise.all([1, 2, 3, 4].map(() => moto.createKey()));
    const args = ['-q', ...forAlice, '-k', key.keyArn];
    const blob = (await run('kms-encrypt', args, { env, stdin: 'x' })).stdout;
    proxy.reset();
    proxy.fault({ kind: 'silence' });
    const all = { ...env, DECRYPT_KEYS: keys.map(({ keyArn }) => keyArn).join(',') };
    const begin = performance.now();
    const failure = await failureOf('kms-decrypt', args, { env: all, stdin: blob });
    const seconds = (performance.now() - begin) / 1000;
    assert.deepEqual([failure.status, failure.code], [5, 'Unavailable']);
    assert.ok(seconds < 12, `${seconds} seconds`);
    assert.equal(proxy.count(), 1);
  });

  test('but one that refuses, or fails at once, is asked for each key', async (t) => {
    const proxy = await startFaultProxy({ target: moto.endpoint });
    t.after(() => proxy.stop());
    const env = { ...moto.env, AWS_ENDPOINT_URL: proxy.endpoint, AWS_MAX_ATTEMPTS: '1' };
    const other = await moto.createKey();
    const args = ['-q', ...forAlice, '-k', other.keyArn];
    const blob = (await run('kms-encrypt', args, { env, stdin: 'x' })).stdout;
    proxy.reset();
    proxy.fault(awsError('KMSInternalException', 500), { times: 1 });
    const all = { ...env, DECRYPT_KEYS: other.keyArn };
    const opened = await run('kms-decrypt', ['-q', ...forAlice, '-k', key.keyArn], {
      ...{ env: all, stdin: blob },
    });
    assert.equal(opened.stdout.toString(), 'x');
    assert.equal(proxy.count(), 2);
  });
});
