/**
 * deploy.sh from nothing to a working .env and back, with the real AWS CLI. (How it handles all
 * sorts of .env files is in deploy-settings.test.ts.)
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DescribeKeyCommand, ListAliasesCommand } from '@aws-sdk/client-kms';
import { parse } from 'dotenv';
import { run, temporaryFolder } from '../support/command.ts';
import { deploy, deployScript, type RecordedAws, recordedAws } from '../support/deploy.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { pythonProgram } from '../support/python.ts';

let moto: Moto;
let aws: RecordedAws;
before(async () => {
  moto = await startMoto();
  aws = recordedAws(moto.env);
});
after(() => moto.stop());

const settingsIn = (folder: string, file = '.env'): Record<string, string> =>
  parse(readFileSync(join(folder, file)));

/** Everything printed so far, and every argument of every call of the AWS CLI. */
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
    // Under bash -x, where a secret in any variable or argument would show.
    const finished = noteOutput(
      await run('bash', ['-x', deployScript, '--yes'], {
        cwd: folder,
        env: aws.env,
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
    // Progress: what is happening, and where.
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
    const finished = noteOutput(await deploy(['--yes'], { cwd: folder, env: aws.env }));
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
    const dry = noteOutput(await deploy([...args, '--dry-run'], { cwd: folder, env: aws.env }));
    assert.match(dry.stderr, /^ {2}change {3}theKey$/m);
    assert.match(dry.stderr, /^Nothing was changed \(--dry-run\)\.$/m);
    assert.equal(dry.stdout.length, 0);

    const calls = aws.calls().length;
    const finished = noteOutput(await deploy(args, { cwd: folder, env: aws.env }));
    assert.equal(finished.status, 0, finished.stderr);
    assert.match(finished.stderr, /^ {2}updated {2}iCanEncryptStuffGroup$/m);
    assert.doesNotMatch(finished.stderr, /AccessKey$/m);
    assert.ok(aws.calls().slice(calls).join('\n').includes('"carol,dave"'));
    const settings = settingsIn(folder);
    assert.deepEqual({ ...settings, USERS: undefined }, { ...first, USERS: undefined });
    assert.ok(readFileSync(file, 'utf8').includes('USERS="carol, dave" # mine'));
  });

  test('--new-credentials replaces both access keys, and nothing else', async () => {
    const finished = noteOutput(
      await deploy(['--yes', '--new-credentials'], { cwd: folder, env: aws.env }),
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

  test('--teardown keeps the key and says what is kept and what is lost', async () => {
    const file = readFileSync(join(folder, '.env'));
    const finished = noteOutput(
      await deploy(['--teardown', '--yes'], { cwd: folder, env: aws.env }),
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
    const finished = noteOutput(await deploy(['--yes'], { cwd: folder, env: aws.env }));
    assert.equal(finished.status, 0, finished.stderr);
    assert.notEqual(settingsIn(folder).KEY_ID, first.KEY_ID);
    assert.ok(finished.stderr.includes(`KEY_ID was another key before: ${first.KEY_ID ?? ''}`));
    secrets.add(settingsIn(folder).ENCRYPTOR_AWS_SECRET_ACCESS_KEY ?? '');
    secrets.add(settingsIn(folder).DECRYPTOR_AWS_SECRET_ACCESS_KEY ?? '');
  });

  test('and no secret was ever printed, or given to a program as an argument', () => {
    assert.equal(secrets.size, 6);
    const seen = printed + aws.calls().join('\n');
    assert.ok(seen.includes(first.ENCRYPTOR_AWS_ACCESS_KEY_ID ?? '?')); // so that the search can find it
    for (const secret of secrets) assert.ok(!seen.includes(secret));
  });
});
