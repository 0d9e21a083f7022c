/** A stack of the same name that is somebody else's, and values from AWS that nobody expects. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation';
import { temporaryFolder } from '../support/command.ts';
import { deploy, startAws, type TestAws } from '../support/deploy.ts';

let aws: TestAws;
let cloudFormation: CloudFormationClient;
before(async () => {
  aws = await startAws();
  cloudFormation = new CloudFormationClient({
    endpoint: aws.moto.endpoint,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  });
});
after(() => aws.stop());

const kmsTemplate = readFileSync(join(import.meta.dirname, '..', '..', 'infra', 'kms.yml'), 'utf8');

async function createStack(
  name: string,
  template: string,
  parameters: Record<string, string> = {},
): Promise<void> {
  const Parameters = Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({
    ...{ ParameterKey, ParameterValue },
  }));
  await cloudFormation.send(
    new CreateStackCommand({ StackName: name, TemplateBody: template, Parameters }),
  );
}

const describeStack = async (name: string) => {
  const { Stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName: name }));
  return Stacks?.[0];
};

/** A stack about something else, with a parameter that happens to have the name of one of ours. */
const strangersTemplate = `
AWSTemplateFormatVersion: '2010-09-09'
Parameters:
  PendingWindowInDays: { Type: Number, Default: 7 }
  TheirOwn: { Type: String, Default: precious }
Resources:
  TheirGroup: { Type: AWS::IAM::Group }
Outputs:
  Precious: { Value: !Ref TheirOwn }
`;

describe("a stranger's stack", { concurrency: false }, () => {
  const refusedArguments = [
    ['--yes'],
    ['--dry-run'],
    ['--yes', '--new-credentials'],
    ['--yes', '--teardown'],
  ];
  test('is not touched', async () => {
    await createStack('theirs', strangersTemplate);
    for (const args of refusedArguments) {
      const folder = temporaryFolder();
      aws.proxy.reset();
      const finished = await deploy([...args, '--stack-name', 'theirs'], {
        cwd: folder,
        env: aws.env,
      });
      assert.equal(finished.status, 2, finished.stderr);
      assert.match(finished.stderr, /The stack theirs .* was not made from infra\/kms\.yml/);
      assert.match(finished.stderr, /^hint: .*--adopt/m);
      assert.equal(finished.stdout.length, 0);
      assert.deepEqual(readdirSync(folder), []);
      const changing = aws.proxy.requests.filter(({ operation }) =>
        /^(?:Create|Execute|Delete|Update)/.test(operation),
      );
      assert.deepEqual(changing, []);
    }
  });

  test('is shown with --adopt, its parameters too', async () => {
    const finished = await deploy(['--dry-run', '--adopt', '--stack-name', 'theirs'], {
      cwd: temporaryFolder(),
      env: aws.env,
    });
    assert.equal(finished.status, 0, finished.stderr);
    assert.match(finished.stderr, /^ {2}PendingWindowInDays {2}7$/m);
    assert.match(finished.stderr, /^ {2}TheirOwn {13}precious -> \(no longer a parameter\)$/m);
    assert.match(finished.stderr, /^ {2}delete {3}TheirGroup$/m);
    assert.match(finished.stderr, /^ {2}create {3}theKey$/m);
    const teardown = await deploy(
      ['--dry-run', '--adopt', '--stack-name', 'theirs', '--teardown'],
      { cwd: temporaryFolder(), env: aws.env },
    );
    assert.match(teardown.stderr, /^ {2}TheirOwn {13}precious$/m);
  });

  test('that has our mark, but an output that is not ours, is one all the same', async () => {
    const marked = `Metadata: { kms-poc: kms-poc/kms.yml }\n${strangersTemplate}`;
    await createStack('marked', marked);
    const finished = await deploy(['--yes', '--stack-name', 'marked'], {
      cwd: temporaryFolder(),
      env: aws.env,
    });
    assert.equal(finished.status, 2, finished.stderr);
    assert.match(finished.stderr, /it has an output Precious/);
  });
});

describe('our own stack', { concurrency: false }, () => {
  test('made by hand, has the mark in its template, and gets it as a tag', async () => {
    await createStack('by-hand', kmsTemplate, { Alias: 'by-hand', ExportPrefix: 'by-hand-' });
    const folder = temporaryFolder();
    const finished = await deploy(['--yes', '--stack-name', 'by-hand', '--users', 'zoe'], {
      cwd: folder,
      env: aws.env,
    });
    assert.equal(finished.status, 0, finished.stderr);
    assert.deepEqual((await describeStack('by-hand'))?.Tags, [
      { Key: 'kms-poc', Value: 'kms-poc/kms.yml' },
    ]);
  });

  test('without any mark, as older versions made it, is taken over with --adopt', async () => {
    const unmarked = kmsTemplate.replace(/^Metadata:\n.*\n/m, '');
    assert.notEqual(unmarked, kmsTemplate);
    await createStack('older', unmarked, { Alias: 'older', ExportPrefix: 'older-' });
    const run = (args: string[]): ReturnType<typeof deploy> =>
      deploy(['--yes', '--stack-name', 'older', ...args], {
        cwd: temporaryFolder(),
        env: aws.env,
      });
    assert.equal((await run([])).status, 2);
    const adopted = await run(['--adopt']);
    assert.equal(adopted.status, 0, adopted.stderr);
    assert.equal((await run([])).status, 0);
  });
});

test('a parameter of a stack is never evaluated', async () => {
  const cwd = temporaryFolder();
  const evil = 'a[$(touch evil)]';
  // What the template would refuse, somebody else's may have.
  const theirs = kmsTemplate.replace(/( {2}CredentialsSerial:\n.*\n {4}Type: )Number/, '$1String');
  await createStack('evil', theirs, {
    ...{ Alias: 'evil', ExportPrefix: 'evil-', CredentialsSerial: evil },
  });
  const finished = await deploy(['--yes', '--stack-name', 'evil', '--new-credentials'], {
    cwd,
    env: aws.env,
  });
  assert.equal(finished.status, 2, finished.stderr);
  assert.ok(finished.stderr.includes(`is not a number: ${evil}`), finished.stderr);
  assert.ok(!existsSync(join(cwd, 'evil')));
});

test('the users of a stack are checked before they are written anywhere', async () => {
  const folder = temporaryFolder();
  const parameters = { Alias: 'users', ExportPrefix: 'users-', AllowedUsers: 'x\nKEY_ID=local' };
  await createStack('users', kmsTemplate, parameters);
  const finished = await deploy(['--yes', '--stack-name', 'users'], {
    ...{ cwd: folder, env: aws.env },
  });
  assert.equal(finished.status, 2, finished.stderr);
  assert.match(finished.stderr, /Not a value of AllowedUsers: x\\nKEY_ID=local\./);
  assert.deepEqual(readdirSync(folder), []);
});

test('every call goes to the endpoint that is set, and it is named before', async () => {
  const folder = temporaryFolder();
  aws.proxy.reset();
  const args = ['--yes', '--stack-name', 'ends', '--replica-region', 'us-east-1'];
  const made = await deploy(args, { cwd: folder, env: aws.env });
  assert.equal(made.status, 0, made.stderr);
  const again = await deploy(args, { cwd: folder, env: aws.env });
  assert.equal(again.status, 0, again.stderr);
  for (const operation of [
    ...['GetCallerIdentity', 'DescribeStacks', 'CreateChangeSet', 'GetSecretValue', 'DescribeKey'],
  ]) {
    assert.ok(aws.proxy.count(operation) > 0, operation);
  }
  assert.ok(aws.proxy.count('CreateChangeSet', 'us-east-1') > 0);
  for (const service of ['CloudFormation', 'STS', 'Secrets Manager', 'KMS']) {
    assert.match(again.stderr, new RegExp(`127\\.0\\.0\\.1, which is not AWS ${service} `));
  }
});

test('an .env that nobody named sends nothing to a strange endpoint', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, '.env'), `AWS_ENDPOINT_URL=${aws.proxy.endpoint}\n`);
  aws.proxy.reset();
  const finished = await deploy(['--yes'], {
    cwd: folder,
    env: { ...aws.env, AWS_ENDPOINT_URL: undefined },
  });
  assert.equal(finished.status, 2, finished.stderr);
  assert.match(finished.stderr, /which is not AWS CloudFormation/);
  assert.equal(aws.proxy.count(), 0);
});

describe("outputs that the stack can't have", () => {
  for (const [what, from, to] of [
    ['a key in another Region', /(<OutputKey>theKeyArn[^:]*:aws:kms:)eu-central-1/, '$1us-east-1'],
    [
      'an access key id with a line break',
      /(EncryptorUserAccessKey<\/OutputKey>\s*<OutputValue>)/,
      '$1A\nB=1 ',
    ],
  ] as const) {
    test(`${what} is never written`, async () => {
      const folder = temporaryFolder();
      aws.proxy.reset();
      // After the change is done, when the outputs are read.
      aws.proxy.fault(
        { kind: 'text', change: (text) => text.replace(from, to) },
        { operation: 'DescribeStacks', after: 1 },
      );
      const finished = await deploy(['--yes', '--stack-name', 'odd'], {
        cwd: folder,
        env: aws.env,
      });
      assert.notEqual(finished.status, 0);
      assert.match(finished.stderr, /unexpected output of the stack: \w+\./);
      assert.equal(finished.stdout.length, 0);
      assert.deepEqual(readdirSync(folder), []);
      await deploy(['--yes', '--stack-name', 'odd', '--teardown'], { cwd: folder, env: aws.env });
    });
  }
});
