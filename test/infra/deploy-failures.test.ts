/** deploy.sh when things go wrong, and its other ways to deploy. */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { DeleteAliasCommand, DescribeKeyCommand, GetKeyPolicyCommand } from '@aws-sdk/client-kms';
import { parse } from 'dotenv';
import { run, temporaryFolder } from '../support/command.ts';
import { deploy, deployScript, interruptAt, startAws, type TestAws } from '../support/deploy.ts';
import { awsError } from '../support/fault-proxy.ts';
import type { Moto } from '../support/moto.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';

let aws: TestAws;
let moto: Moto;
let env: Record<string, string>;
before(async () => {
  aws = await startAws();
  ({ moto, env } = aws);
});
beforeEach(() => {
  aws.proxy.reset();
});
after(() => aws.stop());

async function stacks(): Promise<string[]> {
  const client = new CloudFormationClient({
    endpoint: moto.endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  });
  const { Stacks = [] } = await client.send(new DescribeStacksCommand({}));
  return Stacks.map(({ StackName = '' }) => StackName);
}

test('a failed create shows what failed and why, and can be repeated', async () => {
  const folder = temporaryFolder();
  await moto.createKey({ alias: 'taken' });
  const args = ['--yes', '--stack-name', 'taken', '--users', '*'];
  const failed = await deploy(args, { cwd: folder, env });
  assert.equal(failed.status, 1, failed.stderr);
  assert.match(failed.stderr, /^undone: theKey/m);
  assert.match(failed.stderr, /^failed: theAlias \(AWS::KMS::Alias\): .*already exists/m);
  assert.match(
    failed.stderr,
    /^kms-deploy: The stack taken could not be made .*ROLLBACK_COMPLETE/m,
  );
  assert.equal(failed.stdout.length, 0);
  assert.deepEqual(readdirSync(folder), []);

  // Once the alias is free, the next run clears away what is left. .env is a symlink here.
  await moto.kms().send(new DeleteAliasCommand({ AliasName: 'alias/taken' }));
  const settings = join(temporaryFolder(), 'settings');
  symlinkSync(settings, join(folder, '.env'));
  const done = await deploy(args, { cwd: folder, env });
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, /^Deleting what is left of an earlier attempt that failed\.$/m);
  assert.ok(lstatSync(join(folder, '.env')).isSymbolicLink());
  assert.equal(parse(readFileSync(settings)).USERS, '*');
  assert.equal(lstatSync(settings).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(dirname(settings)), ['settings']);
});

test('without credentials it stops before doing anything, with what AWS said', async () => {
  const folder = temporaryFolder();
  const finished = await deploy(['--yes'], {
    cwd: folder,
    env: { ...env, AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined },
  });
  assert.equal(finished.status, 4, finished.stderr);
  assert.match(finished.stderr, /^kms-deploy: Could not load AWS credentials/m);
  assert.match(finished.stderr, /aws configure/);
  assert.equal(aws.proxy.count(), 0);
  assert.deepEqual(readdirSync(folder), []);
});

test('a profile that does not exist, and AWS out of reach', async () => {
  const [profile, network] = await Promise.all([
    deploy(['--yes', '--profile', 'nobody'], { cwd: temporaryFolder(), env }),
    deploy(['--yes'], {
      cwd: temporaryFolder(),
      env: { ...env, AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_MAX_ATTEMPTS: '1' },
    }),
  ]);
  assert.deepEqual([profile.status, network.status], [2, 5]);
  assert.match(profile.stderr, /There is no AWS profile nobody\./);
  assert.match(network.stderr, /ECONNREFUSED/);
});

describe('interrupted', { concurrency: false }, () => {
  const args = ['--yes', '--stack-name', 'cut'];
  const settings = 'KEY_ID=local\n# mine\n';
  let folder = '';
  beforeEach(() => {
    folder = temporaryFolder();
    writeFileSync(join(folder, '.env'), settings);
  });
  const interrupt = async (
    operation: string,
    options: { after?: number; signal?: NodeJS.Signals } = {},
  ): Promise<string> => {
    const { signal = 'SIGINT' } = options;
    const interrupted = await interruptAt(operation, args, { aws, cwd: folder, ...options });
    assert.equal(interrupted.signal, signal, interrupted.stderr);
    assert.equal(readFileSync(join(folder, '.env'), 'utf8'), settings);
    assert.deepEqual(readdirSync(folder), ['.env']);
    return interrupted.stderr;
  };
  const unchanged = /^Interrupted\. \.env is unchanged\.$/m;
  const mayGoOn = /^CloudFormation may go on with the stack cut by itself\. \.env is unchanged\./m;

  for (const operation of ['GetCallerIdentity', 'DescribeStacks', 'CreateChangeSet']) {
    test(`before the change set (${operation}), it leaves nothing`, async () => {
      await interrupt(operation);
      assert.ok(!(await stacks()).includes('cut'));
    });
  }

  test('with a change set that is not carried out, it removes it and its empty stack', async () => {
    assert.match(await interrupt('DescribeChangeSet'), unchanged);
    assert.equal(aws.proxy.count('DeleteStack'), 1);
    assert.ok(!(await stacks()).includes('cut'));
  });

  test('a second signal does not wait for that', async () => {
    // The second look at the stack belongs to the tidying up.
    const { signal } = await interruptAt('DescribeChangeSet', args, {
      ...{ aws, cwd: folder, again: { operation: 'DescribeStacks', after: 1 } },
    });
    assert.equal(signal, 'SIGINT');
    assert.ok((await stacks()).includes('cut'));
    assert.equal(readFileSync(join(folder, '.env'), 'utf8'), settings);
  });

  test('as the change begins, and while CloudFormation builds, the next run carries on', async () => {
    assert.match(await interrupt('ExecuteChangeSet'), mayGoOn);
    assert.match(await interrupt('DescribeStackEvents', { signal: 'SIGTERM' }), mayGoOn);
  });

  test('with one secret read, it writes none', async () => {
    assert.match(await interrupt('GetSecretValue', { after: 1 }), unchanged);
  });

  test('and if the second secret is refused, it writes none either', async () => {
    aws.proxy.fault(awsError('AccessDeniedException'), { operation: 'GetSecretValue', after: 1 });
    const refused = await deploy(args, { cwd: folder, env });
    assert.equal(refused.status, 4, refused.stderr);
    assert.match(refused.stderr, /credentials could not be read: AccessDenied/);
    assert.equal(readFileSync(join(folder, '.env'), 'utf8'), settings);
    assert.deepEqual(readdirSync(folder), ['.env']);
  });

  test('while the stack is deleted, it says that this goes on', async () => {
    const interrupted = await interruptAt('DescribeStackEvents', [...args, '--teardown'], {
      ...{ aws, cwd: folder },
    });
    assert.equal(interrupted.signal, 'SIGINT', interrupted.stderr);
    assert.match(interrupted.stderr, mayGoOn);
  });
});

test('a replica in a second Region follows the key', async () => {
  const folder = temporaryFolder();
  const made = await deploy(
    ['--yes', '--stack-name=both', '--region=eu-west-1', '--replica-region=us-east-1'],
    { cwd: folder, env },
  );
  assert.equal(made.status, 0, made.stderr);
  const {
    KEY_ID: keyArn = '',
    AWS_REGION,
    FALLBACK_REGIONS,
  } = parse(readFileSync(join(folder, '.env')));
  assert.equal(FALLBACK_REGIONS, 'us-east-1');
  assert.match(made.stderr, /^Wrote to \.env: .*FALLBACK_REGIONS/m);
  assert.match(keyArn, /^arn:aws:kms:eu-west-1:\d{12}:key\/mrk-/);
  assert.equal(AWS_REGION, 'eu-west-1');
  const { KeyMetadata: replica } = await moto
    .kms('us-east-1')
    .send(new DescribeKeyCommand({ KeyId: 'alias/both' }));
  assert.equal(replica?.Arn, keyArn.replace('eu-west-1', 'us-east-1'));

  // The Region now comes from .env, and the replica is found through the key.
  const changed = await deploy(['--yes', '--stack-name=both', '--users=zoe'], {
    cwd: folder,
    env: { ...env, AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined },
  });
  assert.equal(changed.status, 0, changed.stderr);
  const policyIn = async (region: string): Promise<unknown> => {
    const KeyId = keyArn.replace('eu-west-1', region);
    const { Policy } = await moto
      .kms(region)
      .send(new GetKeyPolicyCommand({ KeyId, PolicyName: 'default' }));
    return JSON.parse(Policy ?? '');
  };
  assert.ok(JSON.stringify(await policyIn('us-east-1')).includes('"zoe"'));
  assert.deepEqual(await policyIn('us-east-1'), await policyIn('eu-west-1'));

  const gone = await deploy(['--yes', '--stack-name=both', '--teardown'], {
    cwd: folder,
    env: { ...env, AWS_REGION: 'eu-west-1' },
  });
  assert.equal(gone.status, 0, gone.stderr);
  assert.match(gone.stderr, /^Kept: its replica in us-east-1$/m);
  assert.deepEqual(
    (await stacks()).filter((name) => name.startsWith('both')),
    [],
  );
});

test('on a terminal it asks once, and "no" changes nothing', async () => {
  const folder = temporaryFolder();
  const terminal = startOnTerminal(deployScript, ['--stack-name', 'asked'], { cwd: folder, env });
  await terminal.waitFor('Create the key and its stack asked? [y/N] ');
  // Not even a change set was created before the question.
  assert.deepEqual(
    aws.proxy.requests.filter(({ operation }) => /^(?:Create|Execute|Delete)/.test(operation)),
    [],
  );
  assert.match(await terminal.screen(), /^ {2}create {3}theKey$/m);
  terminal.write('n\r');
  assert.deepEqual(await terminal.exit(), { status: 1, signal: null });
  assert.match(await terminal.screen(), /Nothing was changed\.$/);
  assert.deepEqual(readdirSync(folder), []);

  const agreed = startOnTerminal(deployScript, ['--stack-name', 'asked'], {
    ...{ cwd: folder, env, columns: 40 },
  });
  await agreed.waitFor('[y/N] ');
  agreed.write('y\r');
  assert.deepEqual(await agreed.exit(), { status: 0, signal: null });
  assert.equal(agreed.output().split('[y/N]').length, 2);
});

test('a dry run creates nothing, not even a stack', async () => {
  const folder = temporaryFolder();
  const finished = await deploy(['--dry-run', '--stack-name', 'dry'], { cwd: folder, env });
  assert.equal(finished.status, 0, finished.stderr);
  assert.match(finished.stderr, /^ {2}create {3}theKey$/m);
  assert.match(finished.stderr, /^Nothing was changed \(--dry-run\)\.$/m);
  assert.ok(!(await stacks()).includes('dry'));
  assert.deepEqual(readdirSync(folder), []);
});

describe('secrets as outputs, as the article has them', () => {
  test('are still not printed, and reach .env', async () => {
    const folder = temporaryFolder();
    const finished = await run(
      'bash',
      [
        ...['-x', deployScript, '--yes', '--stack-name', 'plain'],
        ...['--parameter', 'SecretDelivery=Output'],
      ],
      { cwd: folder, env, timeoutMs: 90_000 },
    );
    assert.equal(finished.status, 0, finished.stderr);
    const settings = parse(readFileSync(join(folder, '.env')));
    for (const role of ['ENCRYPTOR', 'DECRYPTOR']) {
      const secret = settings[`${role}_AWS_SECRET_ACCESS_KEY`] ?? '';
      assert.equal(secret.length, 40);
      const seen = finished.stdout.toString() + finished.stderr;
      assert.ok(!seen.includes(secret));
    }
  });
});
