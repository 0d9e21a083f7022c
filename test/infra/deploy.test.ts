/**
 * deploy.sh from nothing to a working .env and back. (How it handles all sorts of .env files is in
 * deploy-settings.test.ts.)
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DescribeKeyCommand, GetKeyPolicyCommand, ListAliasesCommand } from '@aws-sdk/client-kms';
import { parse } from 'dotenv';
import { run, temporaryFolder } from '../support/command.ts';
import { deploy, deployScript } from '../support/deploy.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { pythonProgram } from '../support/python.ts';

let moto: Moto;
before(async () => {
  moto = await startMoto();
});
after(() => moto.stop());

const distFolder = join(dirname(deployScript), 'dist');

const settingsIn = (folder: string, file = '.env'): Record<string, string> =>
  parse(readFileSync(join(folder, file)));

/** Everything printed so far, with the arguments of every program that deploy.sh started. */
let printed = '';
const noteOutput = <T extends { stdout: Buffer; stderr: string }>(finished: T): T => {
  printed += finished.stdout.toString() + finished.stderr;
  return finished;
};

describe('one stack, from nothing and back', { concurrency: false }, () => {
  const folder = temporaryFolder();
  const secrets = new Set<string>();
  const ownLines = ['# mine', 'OTHER="two', 'KEY_ID=not a setting', 'lines"', '', 'export MORE=1'];
  let first: Record<string, string> = {};

  test('the first run creates everything, and writes .env', async () => {
    writeFileSync(join(folder, '.env'), ownLines.join('\n'), { mode: 0o644 });
    // Under bash -x, where a secret in any argument would show.
    const finished = noteOutput(
      await run('bash', ['-x', deployScript, '--yes'], {
        cwd: folder,
        env: moto.env,
        timeoutMs: 90_000,
      }),
    );
    assert.equal(finished.status, 0, finished.stderr);

    const lines = readFileSync(join(folder, '.env'), 'utf8').split('\n');
    assert.deepEqual(lines.slice(0, ownLines.length), ownLines);
    assert.equal(statSync(join(folder, '.env')).mode & 0o777, 0o600);
    first = settingsIn(folder);
    assert.match(first.KEY_ID ?? '', /^arn:aws:kms:eu-central-1:\d{12}:key\/[0-9a-f-]{36}$/);
    assert.ok(lines.includes('# KEY_ID is alias/kms-poc of the stack kms-poc'));
    assert.equal(first.AWS_REGION, 'eu-central-1');
    assert.deepEqual(
      Object.keys(first).filter((name) => name.includes('CRYPTOR')),
      [
        'ENCRYPTOR_AWS_ACCESS_KEY_ID',
        'ENCRYPTOR_AWS_SECRET_ACCESS_KEY',
        'DECRYPTOR_AWS_ACCESS_KEY_ID',
        'DECRYPTOR_AWS_SECRET_ACCESS_KEY',
      ],
    );
    for (const role of ['ENCRYPTOR', 'DECRYPTOR']) {
      assert.match(first[`${role}_AWS_ACCESS_KEY_ID`] ?? '', /^AKIA/);
      const secret = first[`${role}_AWS_SECRET_ACCESS_KEY`] ?? '';
      assert.equal(secret.length, 40);
      secrets.add(secret);
    }
    assert.equal(secrets.size, 2);
    assert.deepEqual(readdirSync(folder), ['.env']);

    // What it prints for programs: names, and values that are not secret.
    const values = parse(finished.stdout);
    assert.equal(values.theKeyArn, first.KEY_ID);
    assert.equal(values.theKeyAlias, 'alias/kms-poc');
    assert.equal(values.EncryptorUserAccessKey, first.ENCRYPTOR_AWS_ACCESS_KEY_ID);
    assert.match(values.DecryptorUserSecretAccessKey ?? '', /^arn:aws:secretsmanager:/);
    // What is going to happen, before it does; then progress: what is happening, and where.
    const begin = finished.stderr.indexOf('  creating ');
    const [plan, progress] = [finished.stderr.slice(0, begin), finished.stderr.slice(begin)];
    assert.match(plan, /^ {2}create {3}theKey$/m);
    assert.match(plan, /^Cost {5}about 1\.80 US dollars a month/m);
    assert.match(progress, /^Wrote to \.env: KEY_ID, AWS_REGION, ENCRYPTOR_AWS_ACCESS_KEY_ID, /m);
    assert.ok(finished.stderr.endsWith(`Ready. Try: ${distFolder}/kms-encrypt.js\n`));
    assert.match(finished.stderr, /^Account {2}123456789012 /m);
    assert.match(finished.stderr, /^Region {3}eu-central-1$/m);
    assert.match(finished.stderr, /^ {2}created {2}DecryptorUserCredentials$/m);

    const { KeyMetadata: key } = await moto
      .kms()
      .send(new DescribeKeyCommand({ KeyId: 'alias/kms-poc' }));
    assert.equal(key?.Arn, first.KEY_ID);
    const { Aliases = [] } = await moto.kms().send(new ListAliasesCommand({ KeyId: key?.KeyId }));
    assert.deepEqual(
      Aliases.map((alias) => alias.AliasName),
      ['alias/kms-poc'],
    );
  });

  test('the outputs are exported under their names', async () => {
    const exported = await run(
      pythonProgram('aws'),
      ['cloudformation', 'list-exports', '--query', 'Exports[].Name', '--output', 'text'],
      { env: moto.env },
    );
    assert.deepEqual(exported.stdout.toString().trim().split(/\s+/).sort(), [
      'DecryptorUserAccessKey',
      'DecryptorUserSecretAccessKey',
      'EncryptorUserAccessKey',
      'EncryptorUserSecretAccessKey',
      'theKeyAlias',
      'theKeyArn',
      'theKeyId',
    ]);
  });

  test('the commands work with the .env that it wrote', async () => {
    const env = { AWS_ENDPOINT_URL: moto.endpoint };
    const encrypted = await run('kms-encrypt', ['-u', 'alice', '-q'], {
      cwd: folder,
      env,
      stdin: 'this is a secret',
    });
    assert.equal(encrypted.status, 0, encrypted.stderr);
    const decrypted = await run('kms-decrypt', ['-u', 'alice', '-q'], {
      cwd: folder,
      env,
      stdin: encrypted.stdout,
    });
    assert.equal(decrypted.stdout.toString(), 'this is a secret', decrypted.stderr);
    const refused = await run('kms-decrypt', ['-u', 'bob', '-q'], {
      cwd: folder,
      env,
      stdin: encrypted.stdout,
    });
    assert.equal(refused.status, 3, refused.stderr);
    assert.equal(refused.stdout.length, 0);
  });

  test('a second run changes nothing and says so', async () => {
    const before = statSync(join(folder, '.env'));
    const finished = noteOutput(await deploy(['--yes'], { cwd: folder, env: moto.env }));
    assert.equal(finished.status, 0, finished.stderr);
    assert.match(finished.stderr, /^The stack kms-poc is up to date\.$/m);
    assert.match(finished.stderr, /^Nothing to do: \.env is up to date, too\.$/m);
    const now = statSync(join(folder, '.env'));
    assert.deepEqual([now.ino, now.mtimeMs], [before.ino, before.mtimeMs]);
  });

  test('a changed list of users and a changed parameter change the stack', async () => {
    const file = join(folder, '.env');
    writeFileSync(file, `${readFileSync(file, 'utf8')}USERS="carol, dave" # mine\n`);
    const args = ['--yes', '--parameter', 'RotationPeriodInDays=90'];
    const dry = noteOutput(await deploy([...args, '--dry-run'], { cwd: folder, env: moto.env }));
    assert.match(dry.stderr, /^ {2}change {3}theKey$/m);
    // What it would be, next to what it is.
    assert.match(dry.stderr, /^ {2}AllowedUsers {10}alice,bob -> carol,dave$/m);
    assert.match(dry.stderr, /^ {2}RotationPeriodInDays {2}365 -> 90$/m);
    assert.match(dry.stderr, /^Nothing was changed \(--dry-run\)\.$/m);
    assert.equal(dry.stdout.length, 0);

    const finished = noteOutput(await deploy(args, { cwd: folder, env: moto.env }));
    assert.equal(finished.status, 0, finished.stderr);
    assert.match(finished.stderr, /^ {2}updated {2}iCanEncryptStuffGroup$/m);
    assert.doesNotMatch(finished.stderr, /AccessKey$/m);
    const { Policy } = await moto
      .kms()
      .send(new GetKeyPolicyCommand({ KeyId: first.KEY_ID, PolicyName: 'default' }));
    assert.match(Policy ?? '', /"carol", ?"dave"/);
    const settings = settingsIn(folder);
    assert.deepEqual({ ...settings, USERS: undefined }, { ...first, USERS: undefined });
    assert.ok(readFileSync(file, 'utf8').includes('USERS="carol, dave" # mine'));
  });

  test('--new-credentials replaces both access keys, and nothing else', async () => {
    const finished = noteOutput(
      await deploy(['--yes', '--new-credentials'], { cwd: folder, env: moto.env }),
    );
    assert.equal(finished.status, 0, finished.stderr);
    const settings = settingsIn(folder);
    for (const [name, value] of Object.entries(first)) {
      if (name.includes('CRYPTOR')) assert.notEqual(settings[name], value, name);
      else assert.equal(settings[name], value, name);
    }
    secrets.add(settings.ENCRYPTOR_AWS_SECRET_ACCESS_KEY ?? '');
    secrets.add(settings.DECRYPTOR_AWS_SECRET_ACCESS_KEY ?? '');
    assert.equal(secrets.size, 4);
  });

  test('--json prints the outputs as one object', async () => {
    const finished = noteOutput(await deploy(['--yes', '--json'], { cwd: folder, env: moto.env }));
    assert.equal(finished.status, 0, finished.stderr);
    const outputs = JSON.parse(finished.stdout.toString()) as Record<string, string>;
    assert.equal(outputs.theKeyArn, first.KEY_ID);
    assert.match(outputs.EncryptGroupName ?? '', /^kms-poc-iCanEncryptStuffGroup-/);
    assert.match(outputs.EncryptorUserSecretAccessKey ?? '', /^arn:aws:secretsmanager:/);
  });

  test('Credentials=None removes the users, and their credentials from .env', async () => {
    const before = readFileSync(join(folder, '.env'), 'utf8');
    const none = noteOutput(
      await deploy(['--yes', '--parameter', 'Credentials=None'], { cwd: folder, env: moto.env }),
    );
    assert.equal(none.status, 0, none.stderr);
    assert.match(none.stderr, /^ {2}delete {3}EncryptorUserAccessKey$/m);
    assert.match(none.stderr, /^Removed from \.env: ENCRYPTOR_AWS_ACCESS_KEY_ID, /m);
    const lines = before.split('\n').filter((line) => !line.includes('CRYPTOR_AWS'));
    assert.equal(readFileSync(join(folder, '.env'), 'utf8'), lines.join('\n'));

    const back = noteOutput(
      await deploy(['--yes', '--parameter', 'Credentials=AccessKeys'], {
        cwd: folder,
        env: moto.env,
      }),
    );
    assert.equal(back.status, 0, back.stderr);
    secrets.add(settingsIn(folder).ENCRYPTOR_AWS_SECRET_ACCESS_KEY ?? '');
    secrets.add(settingsIn(folder).DECRYPTOR_AWS_SECRET_ACCESS_KEY ?? '');
    assert.equal(secrets.size, 6);
  });

  test('--teardown keeps the key and says what is kept and what is lost', async () => {
    const file = readFileSync(join(folder, '.env'));
    const finished = noteOutput(
      await deploy(['--teardown', '--yes'], { cwd: folder, env: moto.env }),
    );
    assert.equal(finished.status, 0, finished.stderr);
    assert.match(finished.stderr, new RegExp(`^Kept: the key ${first.KEY_ID ?? ''}$`, 'm'));
    assert.match(finished.stderr, /^Lost: the alias alias\/kms-poc, .*access keys\.$/m);
    assert.equal(finished.stdout.toString(), `theKeyArn=${first.KEY_ID ?? ''}\n`);
    assert.deepEqual(readFileSync(join(folder, '.env')), file);

    const { KeyMetadata: key } = await moto
      .kms()
      .send(new DescribeKeyCommand({ KeyId: first.KEY_ID ?? '' }));
    assert.equal(key?.KeyState, 'Enabled');
    await assert.rejects(moto.kms().send(new DescribeKeyCommand({ KeyId: 'alias/kms-poc' })), {
      name: 'NotFoundException',
    });
  });

  test('a stack created after that says which key older messages need', async () => {
    const finished = noteOutput(await deploy(['--yes'], { cwd: folder, env: moto.env }));
    assert.equal(finished.status, 0, finished.stderr);
    assert.notEqual(settingsIn(folder).KEY_ID, first.KEY_ID);
    assert.ok(finished.stderr.includes(`KEY_ID was another key before: ${first.KEY_ID ?? ''}`));
    secrets.add(settingsIn(folder).ENCRYPTOR_AWS_SECRET_ACCESS_KEY ?? '');
    secrets.add(settingsIn(folder).DECRYPTOR_AWS_SECRET_ACCESS_KEY ?? '');
  });

  test('and no secret was ever printed, or given to a program as an argument', () => {
    assert.equal(secrets.size, 8);
    assert.ok(printed.includes(first.ENCRYPTOR_AWS_ACCESS_KEY_ID ?? '?')); // so that the search can find it
    for (const secret of secrets) assert.ok(!printed.includes(secret));
  });
});
