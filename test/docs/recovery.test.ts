/**
 * docs/recovery.md, word by word: bash runs each of its `sh` blocks, after the disaster that it is
 * for, with the commands, the AWS CLI and Python on the PATH, as a user would have them.
 */
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import {
  DescribeKeyCommand,
  DisableKeyCommand,
  ScheduleKeyDeletionCommand,
  UpdateAliasCommand,
} from '@aws-sdk/client-kms';
import { parse } from 'dotenv';
import { parseHeader } from '../../src/envelope/header.ts';
import { type Environment, type Finished, run, temporaryFolder } from '../support/command.ts';
import {
  awsError,
  type FaultProxy,
  refusingEndpoint,
  startFaultProxy,
} from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { pythonProgram } from '../support/python.ts';
import { makeRsaPair, writePrivate } from '../support/rsa-keys.ts';
import { startVault } from '../support/vault.ts';

const projectFolder = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(projectFolder, 'docs', 'recovery.md'), 'utf8');
/** The blocks by name. The name comes after `sh`, where it is not shown on a page. */
const blocks = new Map(
  [...page.matchAll(/^```sh ([a-z-]+)\n([^]*?)^```$/gm)].map(([, name = '', block = '']) => [
    name,
    block,
  ]),
);

const secret = 'this is a secret';
const batch = '{"user":"alice","message":"one"}\n{"user":"bob","message":"two"}\n';

let moto: Moto;
let key: TestKey;
let elsewhere: TestKey;
/** A folder with commands to run by name. */
let programs: string;
/** Where the page's own commands have created a key pair, and what they printed. */
let pairFolder: string;
let pairMade: Finished;
let privateKey: KeyObject;
let fingerprint: string;
before(async () => {
  programs = temporaryFolder();
  for (const name of ['kms-encrypt', 'kms-decrypt', 'kms-reencrypt', 'kms-doctor']) {
    putOnPath(name, join(projectFolder, 'dist', `${name}.js`));
  }
  putOnPath('aws', pythonProgram('aws'));
  putOnPath('bao', pythonProgram('bao'));
  putOnPath('python3', pythonProgram('python'));

  moto = await startMoto();
  key = await moto.createKey({ alias: 'theKey' });
  elsewhere = await moto.createKey({ region: 'eu-west-1' });
  pairFolder = temporaryFolder();
  pairMade = await bash('rsa-make', pairFolder, {});
  privateKey = createPrivateKey({
    key: readFileSync(join(pairFolder, 'backup-private.pem')),
    passphrase: readFileSync(join(pairFolder, 'backup-passphrase'), 'utf8').trim(),
  });
  const der = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  fingerprint = createHash('sha256').update(der).digest('hex').slice(0, 32);
});
after(async () => {
  await moto.stop();
});

function putOnPath(name: string, command: string): void {
  writeFileSync(join(programs, name), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
}

/** @param then what the same shell runs after the block */
function bash(
  name: string,
  cwd: string,
  env: Environment,
  then = '',
  flags = '-euc',
): Promise<Finished> {
  const path = [programs, process.env.PATH].join(delimiter);
  const block = blocks.get(name) ?? assert.fail(`there is no block ${name}`);
  return run('bash', [flags, block + then], {
    cwd,
    env: { ...env, PATH: path },
    timeoutMs: 120_000,
  });
}

interface Scene {
  folder: string;
  proxy: FaultProxy;
  /** Runs a block of the page, which must succeed. */
  block: (name: string, env?: Environment, then?: string) => Promise<Finished>;
  /** The same for a command. */
  command: (program: string, args: string[], env?: Environment) => Promise<Finished>;
  /** Encrypts for alice, as `secret.b64`, and a batch, as `messages.jsonl`. */
  encryptAll: (env?: Environment) => Promise<void>;
  /** Returns the content of a file. */
  file: (name: string) => string;
}

/**
 * A folder with these settings in its `.env`, an RSA key pair, and something to encrypt. Its data
 * folder is inside it.
 */
async function scene(
  testContext: TestContext,
  settings: Record<string, string> = { KEY_ID: key.keyArn, BACKUP_KEYS: 'rsa:backup-public.pem' },
): Promise<Scene> {
  const proxy = await startFaultProxy({ target: moto.endpoint });
  testContext.after(() => proxy.stop());
  const folder = temporaryFolder();
  const XDG_DATA_HOME = join(folder, 'data');
  const env = { ...moto.env, AWS_ENDPOINT_URL: proxy.endpoint, XDG_DATA_HOME };
  for (const name of ['docs', 'infra', 'deploy.sh']) {
    symlinkSync(join(projectFolder, name), join(folder, name));
  }
  for (const name of readdirSync(pairFolder))
    copyFileSync(join(pairFolder, name), join(folder, name));
  for (const name of ['secret.txt', 'one.txt', 'two.txt'])
    writeFileSync(join(folder, name), secret);
  writeFileSync(join(folder, 'batch.txt'), batch);
  const lines = Object.entries(settings).map((setting) => `${setting.join('=')}\n`);
  writePrivate(join(folder, '.env'), lines.join(''));

  const command: Scene['command'] = async (program, args, more = {}) => {
    const finished = await run(program, args, { cwd: folder, env: { ...env, ...more } });
    assert.equal(finished.status, 0, finished.stderr);
    return finished;
  };
  return {
    folder,
    proxy,
    command,
    block: async (name, more = {}, then = '') => {
      const finished = await bash(name, folder, { ...env, ...more }, then);
      assert.equal(finished.status, 0, finished.stderr);
      return finished;
    },
    encryptAll: async (more = {}) => {
      await command('kms-encrypt', ['-u', 'alice', '-i', 'secret.txt', '-o', 'secret.b64'], more);
      await command('kms-encrypt', ['--batch', '-i', 'batch.txt', '-o', 'messages.jsonl'], more);
    },
    file: (name) => readFileSync(join(folder, name), 'utf8'),
  };
}

/** The names of the keys in a message's header; none for a KMS blob. */
function keysIn(ciphertextBase64: string): string[] {
  const bytes = Buffer.from(ciphertextBase64, 'base64');
  if (bytes[0] !== 2) return [];
  return parseHeader(bytes)?.encryptedDataKeys.map(({ keyName }) => keyName) ?? [];
}

/** For a batch, those of its first line. */
function keysInBatch(jsonLines: string): string[] {
  const { ciphertext } = JSON.parse(jsonLines.split('\n')[0] ?? '') as { ciphertext: string };
  return keysIn(ciphertext);
}

/** No endpoint that answers, and no credentials. */
const withoutAws: Environment = {
  AWS_ENDPOINT_URL: refusingEndpoint,
  AWS_ACCESS_KEY_ID: undefined,
  AWS_SECRET_ACCESS_KEY: undefined,
};
const withPassphrase = { RSA_PASSPHRASE_FILE: 'backup-passphrase' };
const privateHalf = ['-k', 'rsa:backup-private.pem'];

async function assertOpens({ command }: Scene, args: string[], env: Environment): Promise<void> {
  const one = await command('kms-decrypt', ['-u', 'alice', '-i', 'secret.b64', ...args], env);
  assert.equal(one.stdout.toString(), secret);
  const many = await command('kms-decrypt', ['--batch', '-i', 'messages.jsonl', ...args], env);
  assert.equal(many.stdout.toString(), batch);
}

const drilled: string[] = [];

/** A test that runs the block with that name. */
function drill(name: string, act: (t: TestContext) => void | Promise<void>): void {
  drilled.push(name);
  test(`the block ${name}`, act);
}

test('each block of the page has a name and a drill', () => {
  assert.equal(page.match(/^```.+$/gm)?.length, blocks.size);
  assert.deepEqual(drilled.sort(), [...blocks.keys()].sort());
});

test('each variable that a block uses is exported first, or set in it', () => {
  const [, toExport = ''] = /Export the variables ([^]*?)\.\n/.exec(page) ?? [];
  const listed = [...toExport.matchAll(/`\$([A-Z_]+)`/g)].map(([, name]) => name);
  assert.ok(listed.length > 0);
  for (const [block, lines] of blocks) {
    for (const [, name = ''] of lines.matchAll(/\$\{?([A-Z_]+)/g)) {
      const known = [...listed, 'PWD', 'HOME', 'XDG_DATA_HOME'].includes(name);
      assert.ok(known || lines.includes(`${name}=`), `${name} in ${block}`);
    }
  }
});

test('the links lead somewhere', () => {
  const anchorsOf = (markdown: string): string[] =>
    [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );
  for (const [, file = '', anchor] of page.matchAll(/\]\(([\w.]*)(?:#([\w-]+))?\)/g)) {
    const target = file === '' ? 'recovery.md' : file;
    const path = join(projectFolder, 'docs', target);
    assert.ok(existsSync(path), target);
    if (anchor !== undefined) {
      assert.ok(anchorsOf(readFileSync(path, 'utf8')).includes(anchor), `${target}#${anchor}`);
    }
  }
});

drill('rsa-make', async () => {
  assert.equal(pairMade.status, 0, pairMade.stderr);
  assert.equal(pairMade.stdout.toString(), `${fingerprint}\n`);
  assert.equal(privateKey.asymmetricKeyDetails?.modulusLength, 4096);
  // Nothing else was left behind, and nobody else can read what is there.
  const files = readdirSync(pairFolder).sort();
  assert.deepEqual(files, ['backup-passphrase', 'backup-private.pem', 'backup-public.pem']);
  for (const name of files) assert.equal(statSync(join(pairFolder, name)).mode & 0o077, 0);
  const { stdout } = await run('openssl', ['asn1parse', '-in', 'backup-private.pem'], {
    cwd: pairFolder,
  });
  assert.match(
    stdout.toString(),
    /:PBKDF2[^]*INTEGER +:0F4240\n[^]*:hmacWithSHA256[^]*:aes-256-cbc/,
  );
});

drill('rsa-use', async (t) => {
  const { block, file, folder } = await scene(t, { KEY_ID: key.keyArn });
  await block('rsa-use');
  assert.equal(file('opened.txt'), secret);
  assert.deepEqual(keysIn(file('secret.b64')), [key.keyArn, fingerprint]);
  assert.equal(parse(file('.env')).BACKUP_KEYS, `rsa:${join(folder, 'backup-public.pem')}`);
});

drill('add-backup', async (t) => {
  const all = await scene(t);
  await all.encryptAll({ BACKUP_KEYS: ',' });
  assert.deepEqual(keysIn(all.file('secret.b64')), []);
  assert.deepEqual(keysInBatch(all.file('messages.jsonl')), [key.keyArn]);
  await all.block('add-backup', { KEY_ID: key.keyArn });
  assert.deepEqual(keysIn(all.file('secret.b64')), [key.keyArn, fingerprint]);
  assert.deepEqual(keysInBatch(all.file('messages.jsonl')), [key.keyArn, fingerprint]);
  await assertOpens(all, privateHalf, { ...withoutAws, ...withPassphrase });
});

drill('drill', async (t) => {
  const { block } = await scene(t);
  await block('drill');
});

drill('drill-cron', async (t) => {
  const { block, file } = await scene(t);
  await block('drill-cron');
  assert.doesNotThrow(() => JSON.parse(file('doctor.json')) as unknown);
});

for (const [name, opened] of [
  ['open-one', secret],
  ['open-batch', batch],
  ['open-python', secret],
] as const) {
  drill(name, async (t) => {
    const { block, encryptAll, file, proxy } = await scene(t);
    await encryptAll();
    proxy.reset();
    for (const env of [{}, withoutAws]) {
      await block(name, env);
      assert.equal(file(name === 'open-batch' ? 'opened.jsonl' : 'opened.txt'), opened);
    }
    assert.equal(proxy.count(), 0);
  });
}

test('open_with_rsa.py opens nothing for another user, and nothing that was changed', async (t) => {
  const { command, encryptAll, file, folder } = await scene(t);
  await encryptAll();
  const message = file('secret.b64');
  const bytes = Buffer.from(message, 'base64');
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  const open = (user: string, stdin: string): Promise<Finished> =>
    run(
      join(programs, 'python3'),
      ['docs/open_with_rsa.py', user, 'backup-private.pem', 'backup-passphrase'],
      { cwd: folder, stdin },
    );
  const [forAlice, forBob, changed] = await Promise.all([
    open('alice', message),
    open('bob', message),
    open('alice', bytes.toString('base64')),
  ]);
  assert.deepEqual([forAlice.status, forAlice.stdout.toString()], [0, secret]);
  assert.deepEqual([forBob.status, forBob.stdout.length], [1, 0]);
  assert.equal(forBob.stderr, 'This message is not for bob.\n');
  assert.deepEqual([changed.status, changed.stdout.length], [1, 0]);
  // A message of any size, whoever else may open it.
  writeFileSync(join(folder, 'large.txt'), Buffer.alloc(3_000_000, 'large'));
  const large = await command('kms-encrypt', ['-u', 'alice', '-i', 'large.txt'], {
    BACKUP_KEYS: `${elsewhere.keyArn},local:new.key,rsa:backup-public.pem`,
  });
  const opened = await open('alice', large.stdout.toString());
  assert.ok(opened.stdout.equals(readFileSync(join(folder, 'large.txt'))), opened.stderr);
});

drill('fallback', async (t) => {
  const { keyArn } = await moto.createKey({ replicaRegion: 'eu-west-1' });
  const { block, file, proxy } = await scene(t, { KEY_ID: keyArn });
  proxy.fault(awsError('KMSInternalException', 500), { region: 'eu-central-1' });
  const { stderr } = await block('fallback', { REPLICA_REGION: 'eu-west-1' });
  assert.equal(stderr.match(/Continuing in eu-west-1\./g)?.length, 2);
  assert.equal(file('opened.txt'), secret);
});

const outOfRegion = (): Record<string, string> => ({
  KEY_ID: key.keyArn,
  BACKUP_KEYS: `${elsewhere.keyArn},rsa:backup-public.pem`,
});

drill('region-out', async (t) => {
  const { keyArn } = await moto.createKey({ replicaRegion: 'eu-north-1' });
  const settings = { ...outOfRegion(), KEY_ID: keyArn, FALLBACK_REGIONS: 'eu-north-1' };
  const { block, encryptAll, file, proxy } = await scene(t, settings);
  await encryptAll();
  for (const region of ['eu-central-1', 'eu-north-1']) {
    proxy.fault({ kind: 'reset', when: 'at-request' }, { region });
  }
  const { stderr } = await block('region-out', { OTHER_REGION_KEY: elsewhere.keyArn });
  assert.match(stderr, new RegExp(`opened with another key: ${elsewhere.keyArn}`));
  assert.equal(file('opened.txt'), secret);
  assert.deepEqual(keysIn(file('one.b64')), [elsewhere.keyArn, fingerprint]);
  assert.deepEqual(keysIn(file('two.b64')), [fingerprint]);
});

drill('region-back', async (t) => {
  const { block, command, file } = await scene(t, outOfRegion());
  const encrypt = ['-u', 'alice', '-i', 'secret.txt'];
  await command('kms-encrypt', [...encrypt, '-k', elsewhere.keyArn, '-o', 'one.b64']);
  await command('kms-encrypt', [...encrypt, '-k', 'rsa:backup-public.pem', '-o', 'two.b64'], {
    BACKUP_KEYS: ',',
  });
  await block('region-back', { KEY_ID: key.keyArn, OTHER_REGION_KEY: elsewhere.keyArn });
  for (const name of ['one.b64', 'two.b64']) {
    assert.equal(keysIn(file(name))[0], key.keyArn);
    const { stdout } = await command('kms-decrypt', ['-u', 'alice', '-i', name]);
    assert.equal(stdout.toString(), secret);
  }
});

const stateOf = async (keyId: string): Promise<string | undefined> =>
  (await moto.kms().send(new DescribeKeyCommand({ KeyId: keyId }))).KeyMetadata?.KeyState;

drill('key-disabled', async (t) => {
  const { keyArn } = await moto.createKey();
  const all = await scene(t, { KEY_ID: keyArn, BACKUP_KEYS: 'rsa:backup-public.pem' });
  await all.encryptAll();
  await moto.kms().send(new DisableKeyCommand({ KeyId: keyArn }));
  // moto's disabled keys still work, so the proxy answers what AWS would.
  all.proxy.fault(awsError('DisabledException'), { operation: 'Decrypt' });
  const DECRYPT_KEYS = 'rsa:backup-private.pem';
  await assertOpens(all, [], { DECRYPT_KEYS, ...withPassphrase });
  await all.block('key-disabled', { KEY_ID: keyArn });
  assert.equal(await stateOf(keyArn), 'Enabled');
});

drill('key-to-be-deleted', async (t) => {
  const { keyArn } = await moto.createKey();
  const { block } = await scene(t);
  const inAWeek = { KeyId: keyArn, PendingWindowInDays: 7 };
  await moto.kms().send(new ScheduleKeyDeletionCommand(inAWeek));
  assert.equal(await stateOf(keyArn), 'PendingDeletion');
  await block('key-to-be-deleted', { KEY_ID: keyArn });
  assert.equal(await stateOf(keyArn), 'Enabled');
});

const aliasOf = ({ name }: TestContext): string => `alias/${name.replaceAll(' ', '-')}`;

/** An alias that has been moved, with messages from before that. */
async function movedAlias(t: TestContext): Promise<Scene & { old: TestKey; next: TestKey }> {
  const [old, next] = await Promise.all([moto.createKey({ alias: aliasOf(t) }), moto.createKey()]);
  const all = await scene(t, { KEY_ID: aliasOf(t) });
  await all.encryptAll();
  const AliasName = aliasOf(t);
  await moto.kms().send(new UpdateAliasCommand({ AliasName, TargetKeyId: next.keyId }));
  return { ...all, old, next };
}

drill('alias-back', async (t) => {
  const all = await movedAlias(t);
  await all.block('alias-back', { ALIAS: aliasOf(t), OLD_KEY: all.old.keyId });
  await assertOpens(all, [], {});
});

drill('alias-moved', async (t) => {
  const all = await movedAlias(t);
  await all.block('alias-moved', { OLD_KEY: all.old.keyArn });
  assert.equal(all.file('opened.txt'), secret);
  await assertOpens(all, [], {});
});

drill('alias-reencrypt', async (t) => {
  const all = await movedAlias(t);
  await all.block('alias-moved', { OLD_KEY: all.old.keyArn });
  await all.block('alias-reencrypt', { NEW_KEY: all.next.keyArn });
  assert.deepEqual(keysInBatch(all.file('messages.jsonl')), [all.next.keyArn]);
  await assertOpens(all, [], { KEY_ID: all.next.keyArn, DECRYPT_KEYS: ',' });
});

drill('credentials-leaked', async (t) => {
  const all = await scene(t, { USERS: 'alice,bob' });
  const env = { AWS_ENDPOINT_URL: moto.endpoint };
  const deployed = await run('./deploy.sh', ['--yes'], {
    cwd: all.folder,
    env: { ...moto.env, PATH: [programs, process.env.PATH].join(delimiter) },
    timeoutMs: 120_000,
  });
  assert.equal(deployed.status, 0, deployed.stderr);
  await all.encryptAll(env);
  const leaked = parse(all.file('.env')).DECRYPTOR_AWS_ACCESS_KEY_ID ?? '';
  const iam = async (...args: string[]): Promise<string> =>
    (await all.command(pythonProgram('aws'), ['iam', ...args, '--output', 'text'], env)).stdout
      .toString()
      .trim();
  const used = ['get-access-key-last-used', '--access-key-id', leaked, '--query', 'UserName'];
  const user = await iam(...used);

  await all.block('credentials-leaked', { ...env, IAM_USER: user, LEAKED_KEY: leaked });
  const left = await iam(
    'list-access-keys',
    '--user-name',
    user,
    '--query',
    'AccessKeyMetadata[].[AccessKeyId,Status]',
  );
  const replaced = parse(all.file('.env')).DECRYPTOR_AWS_ACCESS_KEY_ID ?? '';
  assert.notEqual(replaced, leaked);
  assert.equal(left, `${replaced}\tActive`);
  await assertOpens(all, [], env);
});

drill('account-lost', async (t) => {
  const all = await scene(t);
  await all.encryptAll();
  all.proxy.fault(awsError('AccessDeniedException'), { region: 'eu-central-1' });
  await all.block('account-lost', { NEW_KEY: elsewhere.keyArn });
  assert.deepEqual(keysIn(all.file('secret.b64')), [elsewhere.keyArn, fingerprint]);
  assert.deepEqual(keysInBatch(all.file('messages.jsonl')), [elsewhere.keyArn, fingerprint]);
  await assertOpens(all, ['-k', elsewhere.keyArn], {});
});

drill('leave-aws', async (t) => {
  const all = await scene(t, { KEY_ID: key.keyArn });
  await all.encryptAll();
  // With what a user may have exported, which overrides .env.
  await all.block('leave-aws', { KEY_ID: key.keyArn, BACKUP_KEYS: ',' }, 'test -z "${KEY_ID-}"');
  assert.deepEqual(keysIn(all.file('secret.b64')), [fingerprint]);
  assert.deepEqual(keysInBatch(all.file('messages.jsonl')), [fingerprint]);
  await assertOpens(all, privateHalf, { ...withoutAws, ...withPassphrase });
  // From here on, without any help.
  await all.encryptAll(withoutAws);
  await assertOpens(all, privateHalf, { ...withoutAws, ...withPassphrase });
});

test('leaving AWS stops at the first message that was not moved', async (t) => {
  const { encryptAll, file, folder, proxy } = await scene(t, { KEY_ID: key.keyArn });
  await encryptAll();
  const before = [file('.env'), file('secret.b64'), file('messages.jsonl')];
  proxy.fault(awsError('AccessDeniedException'), { operation: 'Decrypt' });
  const env = { ...moto.env, AWS_ENDPOINT_URL: proxy.endpoint };
  // As pasted into a shell, which continues after an error.
  const { status } = await bash('leave-aws', folder, env, '', '-uc');
  assert.equal(status, 4);
  assert.deepEqual([file('.env'), file('secret.b64'), file('messages.jsonl')], before);
});

drill('rsa-der', async (t) => {
  const { block, folder } = await scene(t);
  await block('rsa-der');
  const file = join(folder, 'backup-private.der');
  const der = createPrivateKey({ key: readFileSync(file), format: 'der', type: 'pkcs8' });
  assert.ok(der.equals(privateKey));
  assert.equal(statSync(file).mode & 0o077, 0);
});

drill('vault-import', async (t) => {
  const vault = await startVault();
  t.after(() => vault.stop());
  const { block, encryptAll, file, folder } = await scene(t);
  await encryptAll();
  await block('rsa-der');
  const stored = [file('secret.b64'), file('messages.jsonl')];
  await block('vault-import', { ...vault.env, ...withoutAws, BAO_ADDR: vault.endpoint });
  assert.deepEqual([file('opened.txt'), file('opened.jsonl')], [secret, batch]);
  assert.deepEqual([file('secret.b64'), file('messages.jsonl')], stored);
  assert.ok(
    !readdirSync(folder).some((name) => /\.(?:der|b64)$/.test(name) && name.includes('private')),
  );
  const { keys } = await vault.call('transit/keys/kms-poc-backup');
  const imported = (keys as Record<string, { public_key: string }>)['1']?.public_key ?? '';
  const der = createPublicKey(imported).export({ type: 'spki', format: 'der' });
  assert.equal(createHash('sha256').update(der).digest('hex').slice(0, 32), fingerprint);
});

/** The blocks use the path on Linux. */
const localKey = process.platform === 'linux' ? 'local' : 'local:data/kms-poc/local.key';

drill('local-key-copy', async (t) => {
  const { block, encryptAll, file, folder } = await scene(t, { KEY_ID: localKey });
  await encryptAll();
  const safePlace = join(folder, 'safe');
  mkdirSync(safePlace);
  await block('local-key-copy', { SAFE_PLACE: safePlace });
  assert.equal(file('safe/local.key'), file('data/kms-poc/local.key'));
  assert.equal(statSync(join(safePlace, 'local.key')).mode & 0o077, 0);
});

drill('local-key-lost', async (t) => {
  const all = await scene(t, { KEY_ID: 'local:safe/local.key' });
  await all.encryptAll();
  writePrivate(join(all.folder, '.env'), `KEY_ID=${localKey}\n`);
  await all.block('local-key-lost', { SAFE_PLACE: join(all.folder, 'safe') });
  assert.equal(all.file('opened.txt'), secret);
  await assertOpens(all, [], withoutAws);
});

drill('rsa-replaced', async (t) => {
  const all = await scene(t);
  await all.encryptAll();
  mkdirSync(join(all.folder, 'new'));
  const replacement = makeRsaPair(join(all.folder, 'new'), 'backup');
  await all.block('rsa-replaced', { KEY_ID: key.keyArn });
  const keys = [key.keyArn, replacement.fingerprint];
  assert.deepEqual(keysIn(all.file('secret.b64')), keys);
  assert.deepEqual(keysInBatch(all.file('messages.jsonl')), keys);
  await assertOpens(all, ['-k', `rsa:${replacement.privateFile}`], withoutAws);
});

drill('rotation', async (t) => {
  const all = await scene(t);
  await all.encryptAll();
  await all.block('rotation', { KEY_ID: key.keyArn });
  assert.equal(all.file('opened.txt'), secret);
});

drill('vault-rotation', async (t) => {
  const vault = await startVault();
  t.after(() => vault.stop());
  await vault.createKey('kms-poc');
  const all = await scene(t, { KEY_ID: 'vault:kms-poc' });
  await all.encryptAll(vault.env);
  await all.block('vault-rotation', vault.env);
  assert.equal(all.file('opened.txt'), secret);
  // Unlike moto's, this rotation can take the old version away.
  await vault.call('transit/keys/kms-poc/config', { min_decryption_version: 2 });
  const open = ['-u', 'alice', '-i', 'secret.b64'];
  const refused = await run('kms-decrypt', open, { cwd: all.folder, env: vault.env });
  assert.deepEqual([refused.status, refused.stdout.length], [4, 0]);
  const command = /bao write (\S+) (min_decryption_version=1)$/m.exec(refused.stderr);
  assert.ok(command, refused.stderr);
  await vault.call(command[1] ?? '', { min_decryption_version: 1 });
  await assertOpens(all, [], vault.env);
});
