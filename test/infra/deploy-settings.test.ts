/**
 * How deploy.sh handles .env files and its arguments, with one stack that is up to date. The values
 * are compared with dotenv, which reads them in the commands.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { parse } from 'dotenv';
import { type Finished, run, temporaryFolder } from '../support/command.ts';
import { deploy, deployScript, startAws, type TestAws } from '../support/deploy.ts';
import { awsError } from '../support/fault-proxy.ts';

let aws: TestAws;
let env: Record<string, string>;
/** What the one stack of these tests means for .env. */
let written: Record<string, string>;
let addedLines: string[];
before(async () => {
  aws = await startAws();
  ({ env } = aws);
  const folder = temporaryFolder();
  const made = await deploy(['--yes'], { cwd: folder, env });
  assert.equal(made.status, 0, made.stderr);
  written = parse(readFileSync(join(folder, '.env')));
  addedLines = [
    '# KEY_ID is alias/kms-poc of the stack kms-poc',
    ...Object.entries(written).map(([name, value]) => `${name}=${value}`),
  ];
});
beforeEach(() => {
  aws.proxy.reset();
});
after(() => aws.stop());

/** Runs deploy.sh on a .env, and returns the result. */
async function deployOn(
  before: string | undefined,
  args: string[] = [],
  more: Record<string, string> = {},
): Promise<{ finished: Finished; after: string; folder: string }> {
  const folder = temporaryFolder();
  const file = join(folder, '.env');
  if (before !== undefined) writeFileSync(file, before);
  const finished = await deploy(['--yes', ...args], { cwd: folder, env: { ...env, ...more } });
  assert.equal(finished.status, 0, finished.stderr);
  assert.deepEqual(readdirSync(folder), ['.env']);
  return { finished, after: readFileSync(file, 'utf8'), folder };
}

describe('.env', () => {
  test('is created if there is none', async () => {
    const { after, folder } = await deployOn(undefined);
    assert.equal(after, `${addedLines.join('\n')}\n`);
    assert.equal(statSync(join(folder, '.env')).mode & 0o777, 0o600);
  });

  const others = [
    '# a comment with KEY_ID=x in it',
    '',
    'NAME = "with # sign" # comment',
    "export OTHER='KEY_ID=y'",
    'XKEY_ID=1',
    'KEY_ID_X=2',
    'MULTI="first',
    'KEY_ID=inside',
    'AWS_REGION=inside"',
    '  not a setting at all  ',
    'UNCLOSED="no end',
    'DECRYPT_KEYS=arn:aws:kms:eu-central-1:111122223333:key/old',
  ];
  test('keeps every other line as it is', async () => {
    const { after } = await deployOn(others.join('\n'));
    assert.equal(after, `${[...others, ...addedLines].join('\n')}\n`);
    const { KEY_ID, MULTI, OTHER, NAME } = parse(after);
    assert.deepEqual(
      { KEY_ID, MULTI, OTHER, NAME },
      {
        KEY_ID: written.KEY_ID,
        MULTI: 'first\nKEY_ID=inside\nAWS_REGION=inside',
        OTHER: 'KEY_ID=y',
        NAME: 'with # sign',
      },
    );
  });

  test('has its settings replaced in place, with comments kept and duplicates removed', async () => {
    const { after } = await deployOn(
      [
        'A=1',
        '  export KEY_ID = "local" # mine',
        'B=2',
        "DECRYPTOR_AWS_SECRET_ACCESS_KEY='old'",
        'KEY_ID=second',
        'AWS_REGION=`x',
        'y`',
        'C=3',
        '',
      ].join('\n'),
    );
    assert.deepEqual(after.split('\n').slice(0, 7), [
      'A=1',
      '# KEY_ID is alias/kms-poc of the stack kms-poc',
      `  export KEY_ID = ${written.KEY_ID ?? ''} # mine`,
      'B=2',
      `DECRYPTOR_AWS_SECRET_ACCESS_KEY=${written.DECRYPTOR_AWS_SECRET_ACCESS_KEY ?? ''}`,
      `AWS_REGION=${written.AWS_REGION ?? ''}`,
      'C=3',
    ]);
    assert.deepEqual(parse(after), { A: '1', B: '2', C: '3', ...written });
    assert.equal((await deployOn(after)).after, after);
  });

  test('keeps the line endings of Windows', async () => {
    const { after } = await deployOn('A=1\r\nKEY_ID=x\r\nUSERS=alice,bob\r\n');
    assert.ok(after.startsWith('A=1\r\n# KEY_ID is'));
    assert.ok(after.includes(`\r\nKEY_ID=${written.KEY_ID ?? ''}\r\nUSERS=alice,bob\r\n`));
    assert.deepEqual(parse(after), { A: '1', USERS: 'alice,bob', ...written });
  });

  test('is never run', async () => {
    const line = 'EVIL=$(touch evil) `touch evil`; touch evil';
    const { after } = await deployOn(`${line}\n`);
    assert.ok(after.startsWith(line));
    const folder = temporaryFolder();
    writeFileSync(join(folder, '.env'), 'USERS=$(touch evil),alice\n');
    const finished = await deploy(['--yes'], { cwd: folder, env });
    assert.equal(finished.status, 2);
    assert.match(finished.stderr, /USERS in \.env is not a comma-separated list of names/);
    assert.deepEqual(readdirSync(folder), ['.env']);
  });

  test('is made unreadable to others, even if nothing else changes', async () => {
    const { after, folder } = await deployOn(undefined);
    const file = join(folder, '.env');
    chmodSync(file, 0o644);
    await deploy(['--yes'], { cwd: folder, env });
    assert.equal(readFileSync(file, 'utf8'), after);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  test('is never written in place: another name of the old file keeps the old content', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'settings');
    writeFileSync(file, 'A=1\n');
    linkSync(file, join(folder, 'old'));
    const finished = await deploy(['--yes', '--env-file', 'settings'], { cwd: folder, env });
    assert.equal(finished.status, 0, finished.stderr);
    assert.equal(readFileSync(join(folder, 'old'), 'utf8'), 'A=1\n');
    assert.equal(parse(readFileSync(file)).KEY_ID, written.KEY_ID);
  });

  test('stays as it was if a secret is not available', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, '.env'), 'A=1\n');
    aws.proxy.fault(awsError('ResourceNotFoundException'), {
      operation: 'GetSecretValue',
      after: 1,
    });
    const finished = await deploy(['--yes'], { cwd: folder, env });
    assert.equal(finished.status, 1);
    assert.match(finished.stderr, /credentials could not be read: ResourceNotFoundException/);
    assert.deepEqual(readdirSync(folder), ['.env']);
    assert.equal(readFileSync(join(folder, '.env'), 'utf8'), 'A=1\n');
  });

  test('is found unwritable before AWS is asked anything', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'dir'));
    symlinkSync('loop', join(folder, 'loop'));
    for (const [file, said] of [
      ['dir', /it is a folder/],
      ['loop', /too many symbolic links/],
      ['none/.env', /no such folder/],
    ] as const) {
      const finished = await deploy(['--yes', '--env-file', file], {
        cwd: folder,
        env: { ...env, AWS_REGION: undefined },
      });
      assert.equal(finished.status, 2, finished.stderr);
      assert.match(finished.stderr, said);
      assert.equal(aws.proxy.count(), 0);
    }
  });

  test('that is UTF-16 is refused, and a byte order mark is kept', async () => {
    const folder = temporaryFolder();
    const file = join(folder, '.env');
    writeFileSync(file, Buffer.from('\ufeffA=1\n', 'utf16le'));
    const refused = await deploy(['--yes'], { cwd: folder, env });
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /\.env is UTF-16/);
    assert.equal(aws.proxy.count(), 0);

    const { after: text } = await deployOn('\ufeffA=1\n');
    assert.ok(text.startsWith('\ufeffA=1\n# KEY_ID is'));
  });

  test('may change while the stack is made: what is written then is kept', async () => {
    const folder = temporaryFolder();
    const file = join(folder, '.env');
    writeFileSync(file, 'A=1\n');
    const finishing = deploy(['--yes'], { cwd: folder, env });
    await aws.proxy.arrival('CreateChangeSet');
    writeFileSync(file, 'A=1\nB=2\n');
    const finished = await finishing;
    assert.equal(finished.status, 0, finished.stderr);
    assert.deepEqual(parse(readFileSync(file)), { A: '1', B: '2', ...written });
  });

  test("that is another user's symlink is refused, named or not", async (context) => {
    if (process.getuid?.() !== 0) {
      context.skip('only root can make one');
      return;
    }
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'target'), 'A=1\n');
    symlinkSync('target', join(folder, '.env'));
    lchownSync(join(folder, '.env'), 12345, 12345);
    for (const args of [['--yes'], ['--yes', '--env-file', '.env']]) {
      const finished = await deploy(args, { cwd: folder, env });
      assert.equal(finished.status, 2, finished.stderr);
      assert.match(finished.stderr, /symbolic link of another user/);
      assert.equal(readFileSync(join(folder, 'target'), 'utf8'), 'A=1\n');
    }
    assert.equal(aws.proxy.count(), 0);
  });

  test('tells what to run from where the person is', async () => {
    const { finished } = await deployOn(undefined);
    assert.match(finished.stderr, /^Ready\. Try: \/.*\/dist\/kms-encrypt\.js$/m);
    const file = join(temporaryFolder(), 'my settings');
    const named = await deploy(['--yes', '--env-file', file], { cwd: dirname(deployScript), env });
    assert.equal(named.status, 0, named.stderr);
    assert.ok(named.stderr.endsWith(`Ready. Try: npm run encrypt -- --env-file '${file}'\n`));
  });
});

describe('USERS', () => {
  const usersOf = async (
    before: string,
    args: string[] = [],
    more: Record<string, string> = {},
  ): Promise<[shown: string | undefined, inEnv: string | undefined]> => {
    const { finished, after } = await deployOn(before, args, more);
    return [/^Users {4}(.*)$/m.exec(finished.stderr)?.[1], parse(after).USERS];
  };
  test('comes from .env as the commands read it', async () => {
    for (const line of [
      'USERS=carol,dave',
      'export USERS = "carol , dave" # two',
      "USERS=alice\nUSERS='carol,dave'",
      'USERS: carol,dave',
    ]) {
      assert.deepEqual(await usersOf(`${line}\n`), ['carol, dave', parse(line).USERS], line);
    }
  });
  test('in .env matches the policies, if set by an option or the environment', async () => {
    assert.deepEqual(await usersOf('USERS=alice # x\n', ['--users', 'zoe']), ['zoe', 'zoe']);
    assert.deepEqual(await usersOf('USERS=alice\n', [], { USERS: ' eve , zoe ' }), [
      'eve, zoe',
      'eve,zoe',
    ]);
    assert.deepEqual(await usersOf('', ['--users=*']), ['*', '*']);
  });
  test('comes from the stack if nothing says otherwise, so that no one is locked out', async () => {
    const made = await deploy(['--yes', '--stack-name', 'carols', '--users', 'carol'], {
      cwd: temporaryFolder(),
      env,
    });
    assert.equal(made.status, 0, made.stderr);
    assert.deepEqual(await usersOf('', ['--stack-name', 'carols']), ['carol', 'carol']);
    await usersOf('', ['--users', 'alice,bob']);
    assert.deepEqual(await usersOf(''), ['alice, bob', undefined]);
  });
});

describe('arguments', () => {
  const usageErrors: [args: string[], said: RegExp][] = [
    [[], /There is no terminal to ask on\.\nhint: Add --yes/],
    [['--parameter', 'BAD'], /--parameter needs NAME=VALUE, not BAD/],
    [['--frobnicate'], /Unknown option --frobnicate/],
    [['stack'], /Unexpected argument\.\n/],
    [['--yes', '--region'], /--region needs a value/],
    [['--yes', '--region='], /--region needs a value/],
    [['--yes', '--parameter='], /--parameter needs a value/],
    [['--yes=1'], /--yes doesn't take a value/],
    [['--yes', '--region', 'eu central'], /not an AWS Region/],
    [['--yes', '--replica-region', 'eu central'], /not an AWS Region/],
    [['--yes', '--stack-name', '1a'], /Not a stack name/],
    [['--yes', '--stack-name', 'a'.repeat(101)], /Not a stack name/],
    [['--yes', '--parameter', 'Alias'], /needs NAME=VALUE/],
    [
      ['--yes', '--parameter', 'Nope=1'],
      /has no parameter Nope\.\nhint: It has: Alias AllowedUsers/,
    ],
    // A name is not a pattern.
    [['--yes', '--parameter', 'Alia.=x'], /has no parameter Alia\.\./],
    [['--yes', '--parameter', '=x'], /has no parameter \./],
    [['--yes', '--parameter', 'toString=x'], /has no parameter toString\./],
    [['--yes', '--parameter', 'AllowedUsers=x'], /set by --users/],
    [['--yes', '--parameter', 'Alias=a"b'], /Not a value of Alias: a"b/],
    [['--yes', '--parameter', 'CredentialsSerial=a[$(touch evil)]'], /a number from 1 to/],
    [['--yes', '--parameter', 'RotationPeriodInDays=89'], /a number from 90 to 2560/],
    [['--yes', '--parameter', 'UserIs=me'], /one of AllowedUsers, AwsUserName, PrincipalTag/],
    [['--yes', '--parameter', 'BackupKeyArns=a,b'], /Each has to match/],
    [['--yes', '--teardown', '--new-credentials'], /--teardown can't be combined/],
    [['--yes', '--users', 'alice,*'], /has a \* in it/],
    [['--yes', '--users', 'älice'], /--users is not a comma-separated list of names/],
    [['--yes', '--users', 'x'.repeat(65)], /--users is not a comma-separated list of names/],
    [['--yes', '--replica-region', 'eu-west-1'], /not a multi-Region key and can't become one/],
    [['--yes', '--replica-region', 'eu-central-1'], /not a multi-Region key and can't become one/],
    [
      ['--yes', '--stack-name', 'new', '--replica-region', 'eu-central-1'],
      /The key itself is in eu-central-1/,
    ],
    [['--yes', '--parameter', 'MultiRegion=true'], /can't be changed once the key is there/],
    [
      ['--yes', '--users', Array.from({ length: 300 }, (_, index) => `user${index}`).join()],
      /too long for a policy/,
    ],
  ];
  for (const [args, said] of usageErrors) {
    test(`status 2: ${args.join(' ').slice(0, 60)}`, async () => {
      const folder = temporaryFolder();
      const finished = await deploy(args, { cwd: folder, env });
      assert.equal(finished.status, 2, finished.stderr);
      assert.match(finished.stderr, said);
      assert.equal(finished.stdout.length, 0);
      assert.equal(aws.proxy.count('CreateChangeSet'), 0);
      assert.deepEqual(readdirSync(folder), []);
    });
  }

  test('status 2 without a Region, and without Node', async () => {
    const cwd = temporaryFolder();
    const noRegion = await deploy(['--yes'], {
      cwd,
      env: { ...env, AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined },
    });
    assert.equal(noRegion.status, 2);
    assert.match(
      noRegion.stderr,
      /No AWS Region is set\.\nhint: Set AWS_REGION, or pass --region\.\n$/,
    );
    const bin = temporaryFolder();
    for (const tool of ['sh', 'dirname']) {
      const { stdout } = await run('sh', ['-c', `command -v ${tool}`]);
      symlinkSync(stdout.toString().trim(), join(bin, tool));
    }
    const noNode = await deploy(['--yes'], { cwd, env: { ...env, PATH: bin } });
    assert.equal(noNode.status, 2, noNode.stderr);
    assert.match(noNode.stderr, /Node 20\.19, 22\.12 or newer is not installed\.\nhint: /);
  });

  test('what the environment overrides of what is written is told of, but not its value', async () => {
    const { finished } = await deployOn(undefined, [], {
      KEY_ID: 'alias/other',
      ENCRYPTOR_AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    });
    assert.match(
      finished.stderr,
      /^The environment overrides KEY_ID, ENCRYPTOR_AWS_ACCESS_KEY_ID in \.env\. Run: unset KEY_ID ENCRYPTOR_AWS_ACCESS_KEY_ID$/m,
    );
    const { finished: without } = await deployOn(undefined);
    assert.doesNotMatch(finished.stderr, /AKIAIOSFODNN7EXAMPLE/);
    assert.doesNotMatch(without.stderr, /unset/);
  });

  test('what the environment overrides in a file that was named is told of', async () => {
    const file = join(temporaryFolder(), 'named.env');
    writeFileSync(file, 'USERS=alice,carol\n', { mode: 0o600 });
    const finished = await deploy(['--dry-run', '--env-file', file], {
      cwd: temporaryFolder(),
      env: { ...env, USERS: 'alice,bob' },
    });
    assert.equal(finished.status, 0, finished.stderr);
    const said = `kms-deploy: the environment overrides USERS in ${file}.`;
    assert.ok(finished.stderr.split('\n').includes(said), finished.stderr);
  });

  test('status 4 without credentials, and the hint is one for this command', async () => {
    const { status, stderr } = await deploy(['--yes'], {
      cwd: temporaryFolder(),
      env: { ...env, AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined },
    });
    assert.equal(status, 4, stderr);
    assert.match(
      stderr,
      /^kms-deploy: Could not load AWS credentials .*\nhint: Sign in as someone who may manage CloudFormation, .*\n$/m,
    );
  });

  test('--help is no longer than 80 columns and names every option', async () => {
    const finished = await deploy(['--help'], { cwd: temporaryFolder(), env });
    assert.equal(finished.status, 0);
    assert.equal(finished.stderr, '');
    const help = finished.stdout.toString();
    for (const line of help.split('\n')) assert.ok(line.length <= 80, line);
    for (const option of ['stack-name', 'region', 'profile', 'users', 'replica-region']) {
      assert.ok(help.includes(`--${option} `), option);
    }
  });
});
