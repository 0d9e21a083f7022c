/**
 * Creates missing golden files: `npx tsx test/golden/make.ts [NAME...]`, all of them without a NAME
 * (such as `messages/local.enc`), after `npm run build`. An existing file is never created again:
 * the same command would write different bytes, and it is the old ones that must open.
 *
 * golden.json says what a message contains. To add one, write its vector there and its recipe here.
 */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encryptionMaterials, encryptMessage } from '../../src/envelope/encrypt.ts';
import { localKeyNamespace } from '../../src/envelope/key-names.ts';
import { readLocalKey, wrapWithLocalKey } from '../../src/keys/local-key.ts';
import { collect, inPieces } from '../support/bytes.ts';
import { type Environment, run, temporaryFolder } from '../support/command.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { pythonProgram } from '../support/python.ts';
import { startVault, type TestVault } from '../support/vault.ts';
import {
  frozenFiles,
  frozenFolders,
  goldenFolder,
  plaintextIn,
  readSums,
  readVectors,
  sumOf,
  sumsFile,
} from './manifest.ts';

type Recipe = (name: string) => Buffer | string | Promise<Buffer | string>;

const keyFile = (name: string): string => join(goldenFolder, 'test-keys', name);
const local = 'local:test-keys/local.key';
const rsaPublic = 'rsa:test-keys/rsa-public.pem';

/** Started for the first message that needs it. */
let startedMoto: Promise<Moto> | undefined;
const moto = (): Promise<Moto> =>
  (startedMoto ??= startMoto({ keysFile: keyFile('kms-keys.json') }));

let startedVault: Promise<TestVault> | undefined;
const vault = (): Promise<TestVault> => (startedVault ??= startVault());

interface KmsKey {
  account: string;
  region: string;
  keyId: string;
  keyMaterialBase64: string;
  replicaRegions: string[];
}

function kmsKeyArn({ multiRegion = false } = {}): string {
  const keys = JSON.parse(readFileSync(keyFile('kms-keys.json'), 'utf8')) as KmsKey[];
  const key = keys.find(({ replicaRegions }) => replicaRegions.length > 0 === multiRegion);
  assert.ok(key);
  return `arn:aws:kms:${key.region}:${key.account}:key/${key.keyId}`;
}

async function output(
  program: string,
  args: string[],
  options: { stdin?: Uint8Array | string; env?: Environment } = {},
): Promise<Buffer> {
  const { status, stdout, stderr } = await run(program, args, { cwd: goldenFolder, ...options });
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

const vectors = readVectors();
const plaintext = (name: string): Buffer => plaintextIn(vectors, name.replace('messages/', ''));

/** With kms-encrypt, as bytes unless the arguments say otherwise. */
const encrypted =
  (key: () => string, args: string[], env: Environment = {}) =>
  async (name: string): Promise<Buffer> => {
    const isKms = key().startsWith('arn:');
    return output('kms-encrypt', ['--key', key(), ...args], {
      stdin: plaintext(name),
      env: { USERS: '*', ...(isKms ? (await moto()).env : {}), ...env },
    });
  };

/** With the code of kms-encrypt, in frames short enough for a small file to have several. */
const encryptedInFrames =
  (frameLength: number) =>
  async (name: string): Promise<Buffer> => {
    const key = await readLocalKey(keyFile('local.key'));
    assert.ok(key);
    return collect(
      encryptMessage({
        materialsManager: encryptionMaterials([await wrapWithLocalKey(key)]),
        user: 'alice',
        plaintext: inPieces(plaintext(name)),
        frameLength,
      }),
    );
  };

/** With AWS's Encryption SDK for Python, under the local key. */
const encryptedByPython =
  (suite: string, frameLength: number, { text, policy }: { text?: string; policy?: string } = {}) =>
  async (name: string): Promise<Buffer> => {
    const key = await readLocalKey(keyFile('local.key'));
    assert.ok(key);
    const request = {
      key: Buffer.from(key.keyBytes).toString('base64'),
      namespace: localKeyNamespace,
      name: key.fingerprint,
      ...(policy === undefined ? {} : { commitmentPolicy: policy }),
      jobs: [
        {
          plaintext: (text === undefined ? plaintext(name) : Buffer.from(text)).toString('base64'),
          context: { user: 'alice' },
          suite,
          frameLength,
        },
      ],
    };
    const script = join(goldenFolder, '..', 'envelope', 'encryption_sdk.py');
    const stdout = await output(pythonProgram('python'), [script], {
      stdin: JSON.stringify(request),
    });
    const [answer] = JSON.parse(stdout.toString()) as { ciphertext: string }[];
    return Buffer.from(answer?.ciphertext ?? '', 'base64');
  };

const newLocalKey = async (): Promise<Buffer> => {
  const file = join(temporaryFolder(), 'local.key');
  await output('kms-encrypt', ['-u', 'alice', '-k', `local:${file}`], { stdin: 'x' });
  return readFileSync(file);
};

const newRsaKey = (): string =>
  generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  }) as string;

/** Spells 2026, gold and test, as far as hexadecimal digits can: no real id looks like this. */
const kmsKeyId = '2026601d-7e57-4e57-8e57-7e577e577e57';

const newKmsKeys = (): string => {
  const key = (keyId: string, replicaRegions: string[]): KmsKey => ({
    account: '123456789012',
    region: 'eu-central-1',
    keyId,
    keyMaterialBase64: randomBytes(32).toString('base64'),
    replicaRegions,
  });
  const keys = [key(kmsKeyId, []), key(`mrk-${kmsKeyId.replaceAll('-', '')}`, ['us-east-1'])];
  return `${JSON.stringify(keys, null, 2)}\n`;
};

/** As Vault's own backup has it, key and all. */
const newVaultKey = async (): Promise<string> => {
  const { call, createKey } = await vault();
  await createKey('golden', { exportable: true, allow_plaintext_backup: true });
  const { backup } = await call('transit/backup/golden');
  await call('transit/keys/golden/config', { deletion_allowed: true });
  await call('transit/keys/golden', {}, 'DELETE');
  return `${String(backup)}\n`;
};

const encryptedByVault = async (name: string): Promise<Buffer> => {
  const { call, env } = await vault();
  const backup = readFileSync(keyFile('vault-key.backup'), 'utf8').trim();
  await call('transit/restore/golden', { backup });
  return encrypted(() => 'vault:golden', bytes, env)(name);
};

const withoutCommitment = { text: 'this is a secret', policy: 'FORBID_ENCRYPT_ALLOW_DECRYPT' };
const alice = ['-u', 'alice'];
const bytes = [...alice, '--binary'];

/** Keys first, because the messages are created with them. */
const recipes: Record<string, Recipe> = {
  'test-keys/local.key': newLocalKey,
  'test-keys/other.key': newLocalKey,
  'test-keys/rsa-private.pem': newRsaKey,
  'test-keys/rsa-public.pem': () =>
    createPublicKey(readFileSync(keyFile('rsa-private.pem'))).export({
      type: 'spki',
      format: 'pem',
    }),
  'test-keys/passphrase': () => 'a test passphrase that protects nothing\n',
  // The way docs/recovery.md says to do it.
  'test-keys/rsa-private-with-passphrase.pem': () =>
    output('openssl', [
      ...['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-v2prf', 'hmacWithSHA256', '-iter', '1000000'],
      ...['-passout', `file:${keyFile('passphrase')}`, '-in', keyFile('rsa-private.pem')],
    ]),
  'test-keys/other-rsa-private.pem': newRsaKey,
  'test-keys/kms-keys.json': newKmsKeys,
  'test-keys/vault-key.backup': newVaultKey,

  'messages/local.enc': encrypted(() => local, bytes),
  'messages/local.b64': encrypted(() => local, alice),
  'messages/local.json': encrypted(() => local, [...alice, '--json']),
  // As a mail program wraps it and a person pastes it: quoted, URL-safe, without padding.
  'messages/local-pasted.b64': async (name) => {
    const base64 = (await encrypted(() => local, bytes)(name)).toString('base64url');
    return `"${base64.replace(/.{64}/g, '$&\r\n')}"\r\n`;
  },
  // As a Kubernetes secret holds it.
  'messages/local-twice.b64': async (name) =>
    (await encrypted(() => local, alice)(name)).toString('base64'),
  'messages/local-no-bytes.enc': encrypted(() => local, bytes),
  'messages/local-no-text.enc': encrypted(() => local, bytes),
  'messages/local-user.enc': encrypted(
    () => local,
    ['-u', 'Carol_2026.a-b@example.com', '--binary'],
  ),
  'messages/local-frames.enc': encryptedInFrames(256),
  'messages/local-whole-frames.enc': encryptedInFrames(256),
  'messages/local-and-rsa.enc': encrypted(() => local, bytes, { BACKUP_KEYS: rsaPublic }),
  'messages/rsa.enc': encrypted(() => rsaPublic, bytes),
  'messages/kms-blob.enc': encrypted(kmsKeyArn, bytes),
  'messages/kms-blob.b64': encrypted(kmsKeyArn, alice),
  // As `aws kms encrypt` prints it.
  'messages/kms-blob.json': async (name) => {
    const file = join(temporaryFolder(), 'plaintext');
    writeFileSync(file, plaintext(name));
    const args = ['--key-id', kmsKeyArn(), '--encryption-context', 'user=alice'];
    return output(
      pythonProgram('aws'),
      ['kms', 'encrypt', ...args, '--plaintext', `fileb://${file}`, '--output', 'json'],
      { env: (await moto()).env },
    );
  },
  'messages/kms-blob-multi-region.enc': encrypted(() => kmsKeyArn({ multiRegion: true }), bytes),
  'messages/kms.enc': encrypted(kmsKeyArn, bytes),
  'messages/kms-no-bytes.enc': encrypted(kmsKeyArn, bytes),
  'messages/kms-and-rsa.enc': encrypted(kmsKeyArn, bytes, { BACKUP_KEYS: rsaPublic }),
  'messages/kms-multi-region.enc': encrypted(() => kmsKeyArn({ multiRegion: true }), bytes),
  'messages/vault.enc': encryptedByVault,
  'messages/python.enc': encryptedByPython('AES_256_GCM_HKDF_SHA512_COMMIT_KEY', 256),
  'messages/python-without-frames.enc': encryptedByPython('AES_256_GCM_HKDF_SHA512_COMMIT_KEY', 0),
  // Its default suite and frame length.
  'messages/signed.enc': encryptedByPython('AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384', 4096),
  'messages/signed-frames.enc': encryptedByPython(
    'AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384',
    256,
  ),
  'messages/version-1.enc': encryptedByPython(
    'AES_256_GCM_IV12_TAG16_HKDF_SHA256',
    4096,
    withoutCommitment,
  ),
  'messages/version-1-signed.enc': encryptedByPython(
    'AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384',
    4096,
    withoutCommitment,
  ),
  'messages/no-message.txt': () => 'this is a secret.\n',
  'messages/batch.jsonl': encrypted(() => local, ['--batch']),
  'messages/batch-kms.jsonl': encrypted(kmsKeyArn, ['--batch']),
  'messages/batch-rsa.jsonl': encrypted(() => rsaPublic, ['--batch']),
};

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function make(names: string[]): Promise<void> {
  for (const folder of frozenFolders) mkdirSync(join(goldenFolder, folder), { recursive: true });
  for (const name of names) {
    const recipe = recipes[name];
    if (recipe === undefined) throw new Error(`there is no recipe for ${name}`);
    const file = join(goldenFolder, name);
    if (existsSync(file)) {
      say(`${name} is there, and stays as it is`);
      continue;
    }
    const content = Buffer.from(await recipe(name));
    writeFileSync(file, content, { flag: 'wx' });
    say(`${name} made, ${content.length} bytes`);
  }
  const sums = readSums();
  for (const name of frozenFiles()) {
    if (!sums.has(name)) appendFileSync(sumsFile, `${sumOf(name)}  ${name}\n`);
  }
}

const chosen = process.argv.slice(2);
try {
  await make(chosen.length > 0 ? chosen : Object.keys(recipes));
} finally {
  await (await startedMoto)?.stop();
  await (await startedVault)?.stop();
}
