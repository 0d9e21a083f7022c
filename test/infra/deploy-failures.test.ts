/** deploy.sh when things go wrong, and its other ways to deploy, with the real AWS CLI. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DeleteAliasCommand, DescribeKeyCommand, GetKeyPolicyCommand } from '@aws-sdk/client-kms';
import { parse } from 'dotenv';
import { run, surroundings, temporaryFolder } from '../support/command.ts';
import { deploy, deployScript, recordedAws } from '../support/deploy.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';
import { pythonProgram } from '../support/python.ts';

let moto: Moto;
before(async () => {
  moto = await startMoto();
});
after(() => moto.stop());

async function stacks(): Promise<string[]> {
  const listed = await run(
    pythonProgram('aws'),
    ['cloudformation', 'describe-stacks', '--query', 'Stacks[].StackName', '--output', 'text'],
    { env: moto.env },
  );
  assert.equal(listed.status, 0, listed.stderr);
  return listed.stdout.toString().trim().split(/\s+/);
}

test('a failed create shows what failed and why, and can be repeated', async () => {
  const { env } = recordedAws(moto.env);
  const folder = temporaryFolder();
  await moto.createKey({ alias: 'taken' });
  const args = ['--yes', '--stack-name', 'taken', '--users', '*'];
  const failed = await deploy(args, { cwd: folder, env });
  assert.equal(failed.status, 1, failed.stderr);
  assert.match(failed.stderr, /^failed: theAlias \(AWS::KMS::Alias\): .*already exists/m);
  assert.match(
    failed.stderr,
    /^deploy\.sh: the stack taken could not be made .*ROLLBACK_COMPLETE/m,
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
  const { env, calls } = recordedAws(moto.env);
  const folder = temporaryFolder();
  const finished = await deploy(['--yes'], {
    cwd: folder,
    env: { ...env, AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined },
  });
  assert.equal(finished.status, 4, finished.stderr);
  assert.match(finished.stderr, /^deploy\.sh: no access to AWS: .*credentials/m);
  assert.match(finished.stderr, /aws configure/);
  assert.equal(calls().length, 1);
  assert.deepEqual(readdirSync(folder), []);
});

test('a profile that does not exist, and AWS out of reach', async () => {
  const { env } = recordedAws(moto.env);
  const [profile, network] = await Promise.all([
    deploy(['--yes', '--profile', 'nobody'], { cwd: temporaryFolder(), env }),
    deploy(['--yes'], {
      cwd: temporaryFolder(),
      env: { ...env, AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_MAX_ATTEMPTS: '1' },
    }),
  ]);
  assert.deepEqual([profile.status, network.status], [4, 5]);
  assert.match(profile.stderr, /config profile \(nobody\) could not be found/);
  assert.match(network.stderr, /Could not connect/);
});

/**
 * Starts deploy.sh, and interrupts it when the AWS CLI is called with something that contains
 * `where`.
 */
async function interruptAt(
  where: string,
  args: string[],
  folder: string,
  signal: NodeJS.Signals = 'SIGINT',
): Promise<{ status: number | null; stderr: string; left: string[] }> {
  const { env } = recordedAws(moto.env);
  const signs = temporaryFolder();
  const reached = join(signs, 'reached');
  const hanging = { ...env, AWS_HANG_AT: where, AWS_HANG_AT_REACHED: reached };
  const child = spawn(deployScript, args, {
    ...surroundings({ cwd: folder, env: hanging }),
    stdio: ['ignore', 'ignore', 'pipe'],
    // A separate process group, which gets the signal as from Ctrl-C on a terminal.
    detached: true,
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const watcher = watch(signs, () => {
    if (existsSync(reached) && child.pid !== undefined) process.kill(-child.pid, signal);
    watcher.close();
  });
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  watcher.close();
  return { status, stderr, left: readdirSync(env.TMPDIR ?? '') };
}

test('interrupted half-way, .env is what it was, and nothing is left behind', async () => {
  const folder = temporaryFolder();
  const settings = 'KEY_ID=local\n# mine\n';
  writeFileSync(join(folder, '.env'), settings);
  const untouched = (): void => {
    assert.equal(readFileSync(join(folder, '.env'), 'utf8'), settings);
    assert.deepEqual(readdirSync(folder), ['.env']);
  };
  const args = ['--yes', '--stack-name', 'cut'];

  // If a change set was created but not executed, it is removed, and so is its empty stack.
  const before = await interruptAt('describe-change-set', args, folder);
  assert.deepEqual([before.status, before.left], [130, []], before.stderr);
  assert.match(before.stderr, /^Interrupted\. \.env is unchanged\.$/m);
  untouched();
  assert.ok(!(await stacks()).includes('cut'));

  // While CloudFormation builds, it continues, and the next run carries on from there.
  const during = await interruptAt('describe-stack-events', args, folder, 'SIGTERM');
  assert.deepEqual([during.status, during.left], [143, []], during.stderr);
  assert.match(during.stderr, /^CloudFormation may go on with the stack cut by itself\./m);
  untouched();

  // With one secret already in the new file.
  const { env } = recordedAws(moto.env);
  const late = await interruptAt('DecryptorUserCredentials', args, folder);
  assert.deepEqual([late.status, late.left], [130, []], late.stderr);
  untouched();

  // Nor if the second secret is refused.
  const refused = await deploy(args, {
    cwd: folder,
    env: { ...env, AWS_FAIL_AT: 'DecryptorUserCredentials' },
  });
  assert.equal(refused.status, 1, refused.stderr);
  assert.match(refused.stderr, /credentials could not be written: .*AccessDenied/);
  untouched();
});

test('a replica in a second Region follows the key', async () => {
  const { env } = recordedAws(moto.env);
  const folder = temporaryFolder();
  const made = await deploy(
    ['--yes', '--stack-name=both', '--region=eu-west-1', '--replica-region=us-east-1'],
    { cwd: folder, env },
  );
  assert.equal(made.status, 0, made.stderr);
  const { KEY_ID: keyArn = '', AWS_REGION } = parse(readFileSync(join(folder, '.env')));
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
  const { env, calls } = recordedAws(moto.env);
  const folder = temporaryFolder();
  const terminal = startOnTerminal(deployScript, ['--stack-name', 'asked'], { cwd: folder, env });
  await terminal.waitFor('Create the key and its stack asked? [y/N] ');
  // Not even a change set was created before the question.
  assert.deepEqual(
    calls().filter((call) => /create|execute|delete/.test(call)),
    [],
  );
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
  const { env } = recordedAws(moto.env);
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
    const { env, calls } = recordedAws(moto.env);
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
      const seen = [finished.stdout.toString(), finished.stderr, ...calls()].join('\n');
      assert.ok(!seen.includes(secret));
    }
  });
});
