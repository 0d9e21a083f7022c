/** An output never takes the place of a key or of the settings that the run itself uses. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';

import { commandLine, run, temporaryFolder } from '../support/command.ts';
import { refusingEndpoint } from '../support/fault-proxy.ts';
import { makeRsaPair } from '../support/rsa-keys.ts';

const cwd = temporaryFolder();
const inFolder = {
  cwd,
  home: cwd,
  env: {
    RSA_PASSPHRASE_FILE: 'passphrase',
    XDG_DATA_HOME: cwd,
    VAULT_ADDR: refusingEndpoint,
    VAULT_CACERT: 'ca.pem',
    AWS_CONFIG_FILE: 'aws-config',
    AWS_REGION: 'eu-central-1',
  },
};
let ciphertext: Buffer;
before(async () => {
  const args = ['-u', 'alice', '-k', 'local:there.key', '-q'];
  ({ stdout: ciphertext } = await run('kms-encrypt', args, { ...inFolder, stdin: 'x' }));
  for (const name of ['pair', 'backup', 'old']) makeRsaPair(cwd, name);
  writeFileSync(join(cwd, 'named.env'), 'USERS=alice\n', { mode: 0o600 });
  const files = {
    passphrase: 'a passphrase\n',
    '.env': 'BACKUP_KEYS=rsa:backup-public.pem\nDECRYPT_KEYS=rsa:old-private.pem\n',
    '.vault-token': 'a token\n',
    'ca.pem': 'certificates\n',
    '.aws/credentials': '[default]\n',
    'aws-config': '[default]\n',
  };
  mkdirSync(join(cwd, '.aws'));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(cwd, name), text, { mode: 0o600 });
  }
  symlinkSync('there.key', join(cwd, 'link'));
  mkdirSync(join(cwd, 'kms-poc'));
  mkdirSync(join(cwd, 'other', 'inner'), { recursive: true });
  symlinkSync('other/inner', join(cwd, 'inner'));
  symlinkSync('inner/../new.key', join(cwd, 'to-new'));
});

/** All names in the folder, and what is in the files. */
const contents = (): string[] =>
  readdirSync(cwd, { recursive: true, withFileTypes: true }).map((each) =>
    each.isFile()
      ? `${each.name}: ${readFileSync(join(each.parentPath, each.name), 'utf8')}`
      : each.name,
  );

const cases: [what: string, words: string, output: string][] = [
  ['a key file', 'kms-encrypt -k local:there.key', 'there.key'],
  ['a key file', 'kms-encrypt -k local:there.key', 'link'],
  ['a key file', 'kms-encrypt -k local:new.key', './new.key'], // is yet to be made
  ['a key file', 'kms-encrypt -k local:no/../new.key', 'new.key'],
  ['a key file', 'kms-encrypt -k local:inner/../new.key', 'inner/../new.key'], // other/new.key
  ['a key file', 'kms-encrypt -k local:inner/../new.key', 'to-new'],
  ['a key file', 'kms-encrypt -k local:inner/../no/../new.key', 'other/new.key'],
  ['a key file', 'kms-reencrypt -k local:there.key --to-key local:inner/../new.key', 'to-new'],
  ['a key file', 'kms-encrypt -k local', 'kms-poc/local.key'],
  ['a key file', 'kms-encrypt --batch -k local:there.key', 'there.key'],
  ['a key file', 'kms-encrypt -k rsa:pair-public.pem', 'pair-public.pem'],
  ['a key file', 'kms-decrypt -k rsa:pair-private.pem', 'pair-private.pem'],
  ['a key file', 'kms-decrypt --batch -k rsa:pair-private.pem', 'pair-private.pem'],
  ['a key file', 'kms-reencrypt -k local:there.key --to-key local:new.key', 'new.key'],
  ['a key file', 'kms-reencrypt --batch -k local --to-key local:new.key', 'new.key'],
  ['a key file', 'kms-encrypt -k local:there.key', 'backup-public.pem'], // of BACKUP_KEYS
  ['a key file', 'kms-decrypt -k local:there.key', 'old-private.pem'], // of DECRYPT_KEYS
  ['the settings file', 'kms-encrypt -k local:there.key --env-file named.env', 'named.env'],
  ['the settings file', 'kms-encrypt -k local:there.key', '.env'],
  ['the passphrase file', 'kms-decrypt -k rsa:pair-private.pem', 'passphrase'],
  ['the AWS credentials file', 'kms-encrypt -k alias/theKey', '.aws/credentials'],
  ['the AWS config file', 'kms-decrypt -k alias/theKey', 'aws-config'],
  ['the Vault token file', 'kms-encrypt -k vault:key', '.vault-token'],
  ['the Vault certificates file', 'kms-encrypt -k vault:key', 'ca.pem'],
];
/** Runs what must be refused for its output, and must leave all files as they were. */
async function refused(
  output: string,
  what: string,
  program: string,
  args: string[],
): Promise<void> {
  const contentsBefore = contents();
  const finished = await run(program, args, { ...inFolder, stdin: ciphertext });
  const { status, stdout, stderr } = finished;
  assert.deepEqual([status, stdout.length], [2, 0]);
  const error = `: ${output} is ${what} of this run, so nothing is written there.\n`;
  assert.ok(stderr.endsWith(`${error}hint: Write to another file.\n`), stderr);
  assert.deepEqual(contents(), contentsBefore);
}
for (const [what, words, output] of cases) {
  test(`${words} -o ${output}`, async () => {
    const [command = '', ...args] = words.split(' ');
    await refused(output, what, command, ['-u', 'alice', ...args, '-o', output]);
  });
}

test('but an .env without a setting, and more for one with settings', async () => {
  const folder = temporaryFolder();
  const options = { ...inFolder, cwd: folder };
  const key = ['-u', 'alice', '-k', `local:${join(cwd, 'there.key')}`];
  writeFileSync(join(folder, '.env'), 'PORT=80\nKEY_ID=\n', { mode: 0o600 });
  const decrypted = await run('kms-decrypt', [...key, '-o', '.env'], {
    ...options,
    stdin: ciphertext,
  });
  assert.deepEqual([decrypted.status, decrypted.stderr], [0, '']);
  assert.equal(readFileSync(join(folder, '.env'), 'utf8'), 'x');

  writeFileSync(join(folder, '.env'), 'USERS=alice\nNAME=');
  const { file, args } = commandLine('kms-decrypt', key);
  const added = await run('sh', ['-c', '"$@" >> .env', 'sh', file, ...args], {
    ...options,
    stdin: ciphertext,
  });
  assert.deepEqual([added.status, added.stderr], [0, '']);
  assert.equal(readFileSync(join(folder, '.env'), 'utf8'), 'USERS=alice\nNAME=x');
});

test('nor a file that only looks like it: `..` is above what a link points to', async () => {
  const folder = temporaryFolder();
  const options = { ...inFolder, cwd: folder };
  mkdirSync(join(folder, 'other', 'inner'), { recursive: true });
  symlinkSync('other/inner', join(folder, 'inner'));
  const key = ['-u', 'alice', '-q', '-k', 'local:inner/../new.key'];
  const made = await run('kms-encrypt', [...key, '-o', 'new.key'], { ...options, stdin: 'x' });
  assert.equal(made.status, 0, made.stderr);
  const opened = await run('kms-decrypt', [...key, '-i', 'new.key'], options);
  assert.deepEqual([opened.status, opened.stdout.toString()], [0, 'x']);
  assert.deepEqual(readdirSync(folder).sort(), ['inner', 'new.key', 'other']);
  assert.deepEqual(readdirSync(join(folder, 'other')).sort(), ['inner', 'new.key']);
});

test('a key whose name links to itself, with an output, is an error at once', async () => {
  const folder = temporaryFolder();
  symlinkSync('loop', join(folder, 'loop'));
  // Nothing is there for the system to find a circle in.
  symlinkSync('no/../round', join(folder, 'round'));
  const options = { ...inFolder, cwd: folder, stdin: 'x' };
  for (const [name, status, reason] of [
    ['loop', 4, /^kms-encrypt: Can't read the local key file loop: .*\(ELOOP\)\.$/m],
    ['round', 4, /^kms-encrypt: Can't create the local key file round: EEXIST\.$/m],
  ] as const) {
    const args = ['-u', 'alice', '-k', `local:${name}`, '-o', 'out'];
    const done = await run('kms-encrypt', args, options);
    assert.deepEqual([done.status, done.stdout.length], [status, 0]);
    assert.match(done.stderr, reason);
  }
  assert.ok(!readdirSync(folder).includes('out'));
});

test('nor is anything added to one that the shell opened', async () => {
  const { file, args } = commandLine('kms-encrypt', ['-u', 'alice', '-k', 'local:there.key']);
  await refused('standard output', 'a key file', 'sh', [
    '-c',
    '"$@" >> there.key',
    'sh',
    file,
    ...args,
  ]);
  const toDescriptor = [...args, '-o', '/dev/fd/3'];
  await refused('/dev/fd/3', 'a key file', 'sh', [
    '-c',
    '"$@" 3>> link',
    'sh',
    file,
    ...toDescriptor,
  ]);
});
