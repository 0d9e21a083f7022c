/**
 * A message and a secret key are seen where they belong, and nowhere else: not in what is printed,
 * even with DEBUG, not in requests except the message's own, and not in a file that is left behind.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Finished, run, temporaryFolder } from '../support/command.ts';
import { awsError, type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';

const plaintext = 'sEntinel of a message 4711';
const secretKeys = ['sEntinelOfTheEncryptor/0815', 'sEntinelOfTheDecryptor/0816'];
const forms = [plaintext, ...secretKeys].flatMap((secret) => {
  const bytes = Buffer.from(secret);
  return [secret, bytes.toString('base64').replace(/=+$/, ''), bytes.toString('hex')];
});

function assertNoSecret(text: string, where: string): void {
  for (const form of forms) assert.ok(!text.includes(form), `${form} is in ${where}:\n${text}`);
}

let moto: Moto;
let proxy: FaultProxy;
const home = temporaryFolder();
const cwd = temporaryFolder();
const tmp = temporaryFolder();
before(async () => {
  moto = await startMoto();
  await moto.createKey({ alias: 'theKey' });
  proxy = await startFaultProxy({ target: moto.endpoint });
  const [encryptor, decryptor] = secretKeys;
  const settings = [
    'KEY_ID=alias/theKey',
    'AWS_REGION=eu-central-1',
    'ENCRYPTOR_AWS_ACCESS_KEY_ID=AKIAENCRYPTOR',
    `ENCRYPTOR_AWS_SECRET_ACCESS_KEY=${encryptor ?? ''}`,
    'DECRYPTOR_AWS_ACCESS_KEY_ID=AKIADECRYPTOR',
    `DECRYPTOR_AWS_SECRET_ACCESS_KEY=${decryptor ?? ''}`,
  ];
  writeFileSync(join(cwd, '.env'), `${settings.join('\n')}\n`, { mode: 0o600 });
});
after(async () => {
  await proxy.stop();
  await moto.stop();
});

const surroundings = () => ({
  ...{ home, cwd },
  env: { DEBUG: 'kms-poc', TMPDIR: tmp, AWS_ENDPOINT_URL: proxy.endpoint },
});
const runFor = async (
  command: 'kms-encrypt' | 'kms-decrypt',
  args: string[],
  stdin: string | Uint8Array,
): Promise<Finished> => {
  const finished = await run(command, args, { ...surroundings(), stdin });
  assertNoSecret(finished.stderr, `standard error of ${command} ${args.join(' ')}`);
  return finished;
};
const alice = ['-u', 'alice'];

function assertNothingLeftBehind(): void {
  for (const folder of [home, cwd]) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || (folder === cwd && entry.name === '.env')) continue;
      const file = join(entry.parentPath, entry.name);
      assertNoSecret(readFileSync(file, 'latin1'), file);
    }
  }
  assert.deepEqual(readdirSync(cwd), ['.env']);
  assert.deepEqual(readdirSync(tmp), []);
}

test('in what is printed and written, whether or not all goes well', async () => {
  const line = JSON.stringify({ user: 'alice', message: plaintext });
  const ciphertexts: Buffer[] = [];
  for (const [args, stdin] of [
    [[...alice], plaintext],
    [[...alice, '--json'], plaintext],
    [[...alice, '-k', 'local'], plaintext],
    [['--batch'], `${line}\n{"message":"${plaintext}\n{"user":"eve","message":"${plaintext}"}\n`],
  ] as const) {
    const { stdout } = await runFor('kms-encrypt', [...args], stdin);
    assertNoSecret(stdout.toString(), 'a ciphertext');
    ciphertexts.push(stdout);
  }
  const [blob = '', , local = ''] = ciphertexts;
  assert.equal((await runFor('kms-decrypt', alice, blob)).stdout.toString(), plaintext);
  const localArgs = [...alice, '-k', 'local'];
  assert.equal((await runFor('kms-decrypt', localArgs, local)).stdout.toString(), plaintext);

  // Runs that fail, with the secret in the wrong place.
  for (const [command, args, stdin] of [
    ['kms-encrypt', [...alice, '-o', 'none/out'], plaintext],
    ['kms-encrypt', [...alice, '-k', 'alias/none'], plaintext],
    ['kms-encrypt', [...alice, '-k', 'alias/none'], plaintext.repeat(1000)],
    ['kms-decrypt', alice, plaintext],
    ['kms-decrypt', alice, `{"ciphertext":"${plaintext}"}`],
    ['kms-decrypt', alice, `{"message":"${plaintext}"`],
    ['kms-decrypt', ['-u', 'bob'], blob],
    ['kms-decrypt', ['-u', 'bob', '-k', 'local'], local],
    ['kms-decrypt', [...alice, '-o', '/dev/full'], blob],
    ['kms-decrypt', ['--batch'], `{"user":"alice","message":"${plaintext}"}\n`],
    ['kms-encrypt', [plaintext], ''],
    ['kms-encrypt', ['-u', plaintext], ''],
    ['kms-encrypt', [...alice, '-k', plaintext], ''],
    ['kms-encrypt', [...alice, `--${plaintext}`], ''],
    ['kms-encrypt', [...alice, `--hide=${plaintext}`], ''],
  ] as const) {
    const { status, stdout } = await runFor(command, [...args], stdin);
    assert.notEqual(status, 0);
    assertNoSecret(stdout.toString(), `standard output of ${command} ${args.join(' ')}`);
  }
  for (const name of ['AccessDeniedException', 'KMSInternalException', 'UnheardOfException']) {
    proxy.fault(awsError(name, 400, 'no secret'), { times: 5 });
    assert.notEqual((await runFor('kms-encrypt', alice, plaintext)).status, 0);
    proxy.reset();
    proxy.fault(awsError(name, 400, 'no secret'), { times: 5 });
    assert.notEqual((await runFor('kms-decrypt', alice, blob)).status, 0);
    proxy.reset();
  }
  // AWS quotes the request that it rejects, including its headers.
  const quoted = `x-amz-security-token:${secretKeys[0] ?? ''}`;
  proxy.fault(awsError('SignatureDoesNotMatch', 403, quoted), { times: 5 });
  assert.equal((await runFor('kms-decrypt', alice, blob)).status, 4);
  proxy.reset();
  assertNothingLeftBehind();
});

test('typed with --hide', async () => {
  for (const args of [alice, [...alice, '-k', 'local']]) {
    const terminal = startOnTerminal('kms-encrypt', [...args, '--hide'], surroundings());
    await terminal.waitFor('message to encrypt: ');
    terminal.write(`${plaintext}\r`);
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    assertNoSecret(terminal.output(), 'the terminal');
  }
  assertNothingLeftBehind();
});

test('in a request other than its own', async () => {
  proxy.reset();
  const { stdout } = await runFor('kms-encrypt', alice, plaintext);
  await runFor('kms-decrypt', alice, stdout);
  for (const { operation, headers, body } of proxy.requests) {
    assertNoSecret(JSON.stringify(headers), `the headers of ${operation}`);
    const { Plaintext, ...rest } = body ?? {};
    assertNoSecret(JSON.stringify(rest), `the request ${operation}`);
    assert.equal(Plaintext !== undefined, operation === 'Encrypt');
  }
  proxy.reset();
  // If it is an Encryption SDK message, not even the message goes to KMS.
  await runFor('kms-encrypt', alice, plaintext.repeat(1000));
  assertNoSecret(JSON.stringify(proxy.requests), 'a request');
  assertNothingLeftBehind();
});
