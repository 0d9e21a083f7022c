/**
 * How deploy.sh handles .env files and its arguments. No AWS is needed for that, so it gets canned
 * responses instead. The values are compared with dotenv, which reads them in the commands.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'dotenv';
import { type Finished, run, temporaryFolder } from '../support/command.ts';
import { deploy, stubbedAws } from '../support/deploy.ts';
import { readTemplate } from '../support/template.ts';

const env = stubbedAws();
const written = {
  KEY_ID: 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd',
  AWS_REGION: 'eu-central-1',
  ENCRYPTOR_AWS_ACCESS_KEY_ID: 'AKIAENCRYPTOR',
  ENCRYPTOR_AWS_SECRET_ACCESS_KEY: 'encryptor+secret/1',
  DECRYPTOR_AWS_ACCESS_KEY_ID: 'AKIADECRYPTOR',
  DECRYPTOR_AWS_SECRET_ACCESS_KEY: 'decryptor+secret/2',
};
const addedLines = [
  '# KEY_ID is alias/kms-poc of the stack kms-poc',
  ...Object.entries(written).map(([name, value]) => `${name}=${value}`),
];

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
      `export KEY_ID=${written.KEY_ID} # mine`,
      'B=2',
      `DECRYPTOR_AWS_SECRET_ACCESS_KEY=${written.DECRYPTOR_AWS_SECRET_ACCESS_KEY}`,
      `AWS_REGION=${written.AWS_REGION}`,
      'C=3',
    ]);
    assert.deepEqual(parse(after), { A: '1', B: '2', C: '3', ...written });
    assert.equal((await deployOn(after)).after, after);
  });

  test('keeps the line endings of Windows', async () => {
    const { after } = await deployOn('A=1\r\nKEY_ID=x\r\nUSERS=alice,bob\r\n');
    assert.ok(after.startsWith('A=1\r\n# KEY_ID is'));
    assert.ok(after.includes(`\r\nKEY_ID=${written.KEY_ID}\r\nUSERS=alice,bob\r\n`));
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
    assert.match(finished.stderr, /not a user's name: '\$\(touch evil\)'/);
    writeFileSync(join(folder, '.env'), 'USERS=\x1b[2Jalice\n');
    const drawn = await deploy(['--yes'], { cwd: folder, env });
    assert.match(drawn.stderr, /not a user's name: '\[2Jalice'/);
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
    const more = { ...env, STUB_NO_SECRET: '1' };
    const finished = await deploy(['--yes'], { cwd: folder, env: more });
    assert.equal(finished.status, 1);
    assert.match(finished.stderr, /\.env is unchanged/);
    assert.deepEqual(readdirSync(folder), ['.env']);
    assert.equal(readFileSync(join(folder, '.env'), 'utf8'), 'A=1\n');
  });

  test('is found unwritable before AWS is asked anything', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'dir'));
    symlinkSync('loop', join(folder, 'loop'));
    for (const [file, said] of [
      ['dir', /is not a file/],
      ['loop', /circle/],
      ['none/.env', /does not exist/],
    ] as const) {
      const finished = await deploy(['--yes', '--env-file', file], {
        cwd: folder,
        env: { ...env, AWS_REGION: undefined },
      });
      assert.equal(finished.status, 2, finished.stderr);
      assert.match(finished.stderr, said);
    }
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
    assert.deepEqual(await usersOf('', [], { STUB_USERS: 'carol' }), ['carol', 'carol']);
    assert.deepEqual(await usersOf(''), ['alice, bob', undefined]);
  });
});

describe('arguments', () => {
  const usageErrors: [args: string[], said: RegExp][] = [
    [[], /there is no terminal to ask on\.\nAdd --yes/],
    [['--frobnicate'], /unknown argument: --frobnicate/],
    [['stack'], /unknown argument: stack/],
    [['--yes', '--region'], /--region needs a value/],
    [['--yes', '--region='], /--region needs a value/],
    [['--yes=1'], /unknown argument: --yes=1/],
    [['--yes', '--region', 'eu central'], /not a Region's name/],
    [['--yes', '--stack-name', '1a'], /not a stack's name/],
    [['--yes', '--stack-name', 'a'.repeat(101)], /not a stack's name/],
    [['--yes', '--parameter', 'Alias'], /needs NAME=VALUE/],
    [['--yes', '--parameter', 'Nope=1'], /has no parameter Nope\.\nIt has: Alias UserIs /],
    [['--yes', '--parameter', 'AllowedUsers=x'], /set by --users/],
    [['--yes', '--parameter', 'Alias=a"b'], /a quote, backslash or control character/],
    [['--yes', '--teardown', '--new-credentials'], /exclude each other/],
    [['--yes', '--users', 'alice,,bob'], /not a user's name: ''/],
    [['--yes', '--users', 'alice,*'], /not a user's name: '\*'/],
    [['--yes', '--users', 'älice'], /not a user's name/],
    [['--yes', '--users', 'x'.repeat(65)], /not a user's name/],
    [['--yes', '--replica-region', 'eu-west-1'], /not a multi-Region key and can't become one/],
    [['--yes', '--parameter', 'MultiRegion=true'], /can't be changed once the key is there/],
  ];
  for (const [args, said] of usageErrors) {
    test(`status 2: ${args.join(' ').slice(0, 60)}`, async () => {
      const folder = temporaryFolder();
      const finished = await deploy(args, { cwd: folder, env });
      assert.equal(finished.status, 2, finished.stderr);
      assert.match(finished.stderr, said);
      assert.equal(finished.stdout.length, 0);
      assert.deepEqual(readdirSync(folder), []);
    });
  }

  test('status 2 without a Region, and without the AWS CLI', async () => {
    const cwd = temporaryFolder();
    const noRegion = await deploy(['--yes'], { cwd, env: { ...env, AWS_REGION: undefined } });
    assert.equal(noRegion.status, 2);
    assert.match(noRegion.stderr, /no Region is set/);
    const bin = temporaryFolder();
    for (const tool of ['bash', 'mktemp', 'rm', 'dirname', 'env', 'cat', 'tr']) {
      const { stdout } = await run('sh', ['-c', `command -v ${tool}`]);
      symlinkSync(stdout.toString().trim(), join(bin, tool));
    }
    const noCli = await deploy(['--yes'], { cwd, env: { ...env, PATH: bin } });
    assert.equal(noCli.status, 2, noCli.stderr);
    assert.match(noCli.stderr, /aws is not installed\.\nInstall the AWS CLI: https:/);
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

describe("a policy's 5,120 characters", () => {
  const names = (count: number): string =>
    Array.from({ length: count }, (_, index) => `user${String(index).padStart(4, '0')}`).join(',');
  const arn = (id: number, region = 'ap-southeast-1'): string =>
    `arn:aws-us-gov:kms:${region}:111122223333:key/mrk-${String(id).padStart(32, '0')}`;
  const arns = (count: number): string =>
    Array.from({ length: count }, (_, index) => arn(index)).join(',');

  /** The longest group policy in the template, as IAM counts it: without white space. */
  const longest = (parameters: Record<string, string>): number => {
    const { resources } = readTemplate('kms.yml', {
      parameters,
      pseudo: { Partition: 'aws-us-gov', Region: 'ap-southeast-1' },
      physical: { theKey: `mrk-${'0'.repeat(32)}`, 'theKey.Arn': arn(0) },
    });
    const groups = Object.values(resources).filter(({ type }) => type === 'AWS::IAM::Group');
    return Math.max(
      ...groups.map(({ properties }) => {
        const [policy] = properties.Policies as { PolicyDocument: unknown }[];
        return JSON.stringify(policy?.PolicyDocument).length;
      }),
    );
  };

  for (const parameters of [
    {},
    { MultiRegion: 'false', UserIs: 'PrincipalTag', ContextKeys: 'user,aws-crypto-public-key' },
    { BackupKeyArns: arns(6), UserIs: 'PrincipalTag' },
    { ReEncryptToKeyArns: arns(5), BackupKeyArns: arns(2) },
  ] as Record<string, string>[]) {
    test(`are never exceeded with ${Object.keys(parameters).join(', ') || 'the defaults'}`, async () => {
      const isAccepted = async (users: string): Promise<boolean> => {
        const more = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
        const { status, stderr } = await deploy(
          ['--dry-run', '--users', users, ...more.flatMap((one) => ['--parameter', one])],
          { cwd: temporaryFolder(), env },
        );
        if (status !== 0) assert.match(stderr, /too long for a policy|can't be changed/);
        return status === 0;
      };
      let accepted = 1;
      let refused = 1_000;
      while (refused - accepted > 1) {
        const middle = Math.floor((accepted + refused) / 2);
        if (await isAccepted(names(middle))) accepted = middle;
        else refused = middle;
      }
      const size = longest({ ...parameters, AllowedUsers: names(accepted) });
      assert.ok(size <= 5_120, `${accepted} users make ${size} characters`);
      // Nor is more than a tenth of the room wasted.
      assert.ok(size > 4_100, `${accepted} users make only ${size} characters`);
    });
  }
});
