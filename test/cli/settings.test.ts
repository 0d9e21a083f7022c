/**
 * Where settings come from. The rules are tested in this process. That a command then obeys them is
 * shown by the requests that it makes, at a proxy that answers instead of KMS.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { parse } from 'dotenv';
import type { Arguments } from '../../src/cli/arguments.ts';
import { createAccess } from '../../src/cli/key-sources.ts';
import { titleOf } from '../../src/cli/setting.ts';
import { checkUser } from '../../src/cli/setting-values.ts';
import { readSettingsFile } from '../../src/cli/settings-file.ts';
import { loadSettings, type Role, type Settings, settingsOf } from '../../src/cli/settings.ts';
import { KmsPocError } from '../../src/errors.ts';
import { type Environment, type Finished, run, temporaryFolder } from '../support/command.ts';
import { checkLine, failureOf } from '../support/failure.ts';
import {
  awsAnswer,
  type FaultProxy,
  refusingEndpoint,
  startFaultProxy,
} from '../support/fault-proxy.ts';

const noArguments: Arguments = {
  user: undefined,
  key: undefined,
  toKey: undefined,
  in: undefined,
  out: undefined,
  hide: false,
  binary: false,
  batch: false,
  inspect: false,
  json: false,
  sign: false,
  requireSigned: false,
  region: undefined,
  profile: undefined,
  envFile: undefined,
  quiet: false,
};

/** @returns the path of a new settings file, mode 0600 */
function settingsFile(lines: Environment, folder = temporaryFolder()): string {
  const file = join(folder, '.env');
  const text = Object.entries(lines).map(([name, value]) => `${name}=${value ?? ''}\n`);
  writeFileSync(file, text.join(''), { mode: 0o600 });
  return file;
}

interface Given {
  args?: Partial<Arguments>;
  environment?: Environment;
  file?: Environment;
}

function load({ args, environment = {}, file = {} }: Given): Settings {
  const path = settingsFile(file);
  const values = parse(readFileSync(path));
  const settings = { path, values, isImplicit: false, stat: statSync(path) };
  return settingsOf({ ...noArguments, ...args }, environment, settings);
}

function refusal(action: () => unknown): KmsPocError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof KmsPocError, String(error));
    assert.deepEqual([error.code, error.status], ['Usage', 2]);
    checkLine(error.message);
    checkLine(error.hint ?? '');
    return error;
  }
  return assert.fail('it was to be refused');
}

describe('an option, else the environment, else the settings file', () => {
  for (const [setting, option, name] of [
    ['keyId', 'key', 'KEY_ID'],
    ['region', 'region', 'AWS_REGION'],
    ['profile', 'profile', 'AWS_PROFILE'],
  ] as const) {
    test(name, () => {
      const args = { [option]: 'from-option' };
      const environment = { [name]: 'from-environment' };
      const file = { [name]: 'from-file' };
      const valueOf = (given: Given): string | undefined => load(given)[setting]?.value;
      assert.equal(valueOf({ args, environment, file }), 'from-option');
      assert.equal(valueOf({ environment, file }), 'from-environment');
      assert.equal(valueOf({ environment: { [name]: '' }, file }), 'from-file');
      assert.equal(valueOf({ file: { [name]: '' } }), undefined);
      assert.equal(valueOf({}), undefined);
    });
  }

  test('each knows where it comes from', async () => {
    const file = settingsFile({ KEY_ID: 'local' });
    const settings = await loadSettings(
      { ...noArguments, envFile: file, region: 'eu-central-1' },
      { AWS_PROFILE: 'p' },
    );
    assert.deepEqual(settings.keyId?.origin, { file: settings.file });
    assert.equal(settings.profile?.origin, 'environment');
    assert.deepEqual(settings.region?.origin, { option: '--region' });
    const titles = [settings.keyId, settings.profile, settings.region].map((each) => titleOf(each));
    assert.deepEqual(titles, [`KEY_ID in ${file}`, 'AWS_PROFILE', '--region']);
  });

  test('AWS_DEFAULT_REGION, as other AWS tools read it, comes last and from no file', () => {
    const environment = { AWS_DEFAULT_REGION: 'us-east-1' };
    assert.equal(load({ environment }).region?.value, 'us-east-1');
    assert.equal(
      load({ environment, file: { AWS_REGION: 'eu-west-1' } }).region?.value,
      'eu-west-1',
    );
    assert.equal(load({ file: environment }).region, undefined);
  });
});

describe('users', () => {
  const usersOf = (USERS: string | undefined): readonly string[] | '*' =>
    load({ environment: { USERS } }).users();

  test('alice and bob, unless USERS says otherwise', () => {
    assert.deepEqual(usersOf(undefined), ['alice', 'bob']);
    assert.deepEqual(usersOf(''), ['alice', 'bob']);
    assert.deepEqual(usersOf('carol'), ['carol']);
    assert.deepEqual(usersOf(' carol , d.e_f@g-h , carol, '), ['carol', 'd.e_f@g-h']);
    assert.equal(usersOf('*'), '*');
    assert.deepEqual(load({ file: { USERS: 'erin' } }).users(), ['erin']);
  });

  test('an invalid list', () => {
    for (const users of [',', 'a b', 'alice;bob', 'ä', 'a'.repeat(65), 'alice,../bob']) {
      assert.match(
        refusal(() => usersOf(users)).message,
        /^USERS is not a comma-separated list of names\.$/,
      );
    }
  });

  test('who may be named', () => {
    assert.equal(checkUser('alice', ['alice', 'bob']), 'alice');
    assert.equal(checkUser('a'.repeat(64), '*'), 'a'.repeat(64));
    assert.equal(checkUser('__proto__', '*'), '__proto__');
    const other = refusal(() => checkUser('Alice', ['alice', 'bob']));
    assert.equal(other.message, 'Alice is not one of the users: alice, bob.');
    assert.match(other.hint ?? '', /case-sensitive.*USERS/);
    // It may be the message, or control the terminal, so it is not repeated.
    for (const name of ['', 'a b', 'a'.repeat(65), 'a\n', 'ä', 'user=alice', '*', '\x1b[31m']) {
      for (const users of ['*', ['alice']] as const) {
        assert.equal(refusal(() => checkUser(name, users)).message, 'Not a valid user name.');
      }
    }
  });
});

describe('a pair of credentials', () => {
  const pair = (role: Role): Environment => ({
    [`${role}_AWS_ACCESS_KEY_ID`]: `${role}-ID`,
    [`${role}_AWS_SECRET_ACCESS_KEY`]: `${role}-SECRET`,
  });

  test('is that of the command, from the environment or the file', () => {
    const both = { ...pair('ENCRYPTOR'), ...pair('DECRYPTOR') };
    for (const role of ['ENCRYPTOR', 'DECRYPTOR'] as const) {
      const expected = { accessKeyId: `${role}-ID`, secretAccessKey: `${role}-SECRET` };
      assert.deepEqual(load({ environment: both }).keyPair(role), expected);
      assert.deepEqual(load({ file: both }).keyPair(role), expected);
    }
    assert.equal(load({ environment: pair('ENCRYPTOR') }).keyPair('DECRYPTOR'), undefined);
  });

  test('half of one is refused, and the missing half is named', () => {
    for (const missing of ['ACCESS_KEY_ID', 'SECRET_ACCESS_KEY']) {
      const name = `DECRYPTOR_AWS_${missing}`;
      const half = { ...pair('DECRYPTOR'), [name]: '' };
      for (const given of [{ environment: half }, { file: half }]) {
        const { keyPair } = load(given);
        assert.equal(keyPair('ENCRYPTOR'), undefined);
        const error = refusal(() => keyPair('DECRYPTOR'));
        assert.match(error.message, new RegExp(`^${name} is not set`));
        assert.doesNotMatch(`${error.message} ${error.hint ?? ''}`, /-ID|-SECRET/);
      }
    }
  });

  test('--profile beats it, AWS_PROFILE does not', () => {
    const environment = { ...pair('ENCRYPTOR'), AWS_PROFILE: 'p' };
    assert.equal(load({ args: { profile: 'p' }, environment }).keyPair('ENCRYPTOR'), undefined);
    assert.equal(load({ environment }).keyPair('ENCRYPTOR')?.accessKeyId, 'ENCRYPTOR-ID');
  });
});

describe('an endpoint', () => {
  const endpointOf = (given: Given): string | undefined => load(given).endpoint('kms')?.value;
  const at = (host: string): Environment => ({ AWS_ENDPOINT_URL: `http://${host}` });

  test('the one for KMS overrides the one for all, and the environment overrides the file', () => {
    const general = { AWS_ENDPOINT_URL: 'https://general.example' };
    const special = { AWS_ENDPOINT_URL_KMS: 'https://kms.example' };
    assert.equal(endpointOf({ environment: { ...general, ...special } }), 'https://kms.example');
    assert.equal(endpointOf({ file: { ...general, ...special } }), 'https://kms.example');
    assert.equal(endpointOf({ environment: general, file: special }), 'https://general.example');
    assert.equal(endpointOf({ file: general }), 'https://general.example');
    assert.equal(endpointOf({}), undefined);
  });

  test('from the environment it is the user’s own choice', () => {
    assert.equal(endpointOf({ environment: at('kms.example') }), 'http://kms.example');
  });

  test('from a file it is https, or on this machine', () => {
    for (const host of ['localhost:4566', '127.0.0.1:5000', '127.8.8.8', '[::1]:5000']) {
      assert.equal(endpointOf({ file: at(host) }), `http://${host}`);
    }
    for (const host of [
      'kms.example',
      'localhost.example',
      '127.0.0.1.example',
      '10.0.0.1',
      '0.0.0.0',
      '[::]',
      '127.0.0.1@kms.example',
    ]) {
      const error = refusal(() => endpointOf({ file: at(host) }));
      assert.match(error.message, /would send messages to .* without encryption\.$/);
      assert.match(error.message, /^AWS_ENDPOINT_URL in .*\.env would/);
    }
  });

  test('must be a URL', () => {
    for (const value of ['kms.example', 'ftp://kms.example', 'file:///etc/passwd', 'http://']) {
      const error = refusal(() => endpointOf({ environment: { AWS_ENDPOINT_URL_KMS: value } }));
      assert.equal(error.message, 'AWS_ENDPOINT_URL_KMS is not an http or https URL.');
    }
  });

  test('AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, as in every AWS tool', () => {
    const environment = { ...at('kms.example'), AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' };
    assert.equal(endpointOf({ environment }), undefined);
  });
});

describe('the settings file', () => {
  test('is .env, and need not be there', async () => {
    // The folder that the tests run in has none.
    assert.equal(await readSettingsFile(undefined), undefined);
  });

  test('one that was named must be there, and be a file', async () => {
    const folder = temporaryFolder();
    const loop = join(folder, 'loop');
    symlinkSync(loop, loop);
    for (const [path, reason] of [
      [join(folder, 'none'), 'no such file (ENOENT)'],
      [folder, 'it is a folder (EISDIR)'],
      [loop, 'too many symbolic links (ELOOP)'],
    ] as const) {
      await assert.rejects(readSettingsFile(path), {
        ...{ code: 'Usage', status: 2 },
        message: `Can't read the settings file ${path}: ${reason}.`,
        hint: 'Check the path after --env-file.',
      });
    }
  });

  test('is read as data: nothing in it is run or put in place of anything', () => {
    const { keyId } = load({ file: { KEY_ID: "'$HOME $(id) `id` ${HOME}'" } });
    assert.equal(keyId?.value, '$HOME $(id) `id` ${HOME}');
  });
});

describe('the commands', () => {
  const keyArn = 'arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  let proxy: FaultProxy;
  before(async () => {
    proxy = await startFaultProxy();
  });
  beforeEach(() => {
    proxy.reset();
    proxy.fault(awsAnswer({ CiphertextBlob: 'AAAA', Plaintext: 'AAAA', KeyId: keyArn }));
  });
  after(() => proxy.stop());

  const chain = {
    AWS_ACCESS_KEY_ID: 'CHAINID',
    AWS_SECRET_ACCESS_KEY: 'chain-secret',
    AWS_SESSION_TOKEN: 'chain-token',
    AWS_REGION: 'eu-central-1',
  };
  const encrypt = (
    env: Environment,
    { args = [], file, home }: { args?: string[]; file?: Environment; home?: string } = {},
  ): Promise<Finished> => {
    const cwd = temporaryFolder();
    if (file !== undefined) settingsFile(file, cwd);
    return run('kms-encrypt', ['-u', 'alice', ...args], {
      stdin: 'x',
      env: { AWS_ENDPOINT_URL: proxy.endpoint, KEY_ID: 'alias/theKey', ...env },
      cwd,
      home,
    });
  };
  /** About the only request: whose it is, for which Region, and with which session token. */
  const seen = (): { id: string; region: string; token: string | undefined } => {
    assert.equal(proxy.count(), 1);
    const { authorization, 'x-amz-security-token': token } = proxy.requests[0]?.headers ?? {};
    const [, id = '', region = ''] =
      /Credential=([^/]*)\/\d+\/([^/]*)\/kms\//.exec(authorization ?? '') ?? [];
    return { id, region, token: token as string | undefined };
  };

  test('the default chain, including its session token', async () => {
    assert.equal((await encrypt(chain)).status, 0);
    assert.deepEqual(seen(), { id: 'CHAINID', region: 'eu-central-1', token: 'chain-token' });
  });

  test('a pair overrides the chain, and never gets its session token', async () => {
    const pair = {
      ENCRYPTOR_AWS_ACCESS_KEY_ID: 'PAIRID',
      ENCRYPTOR_AWS_SECRET_ACCESS_KEY: 'pair-secret',
    };
    assert.equal((await encrypt(chain, { file: pair })).status, 0);
    assert.deepEqual(seen(), { id: 'PAIRID', region: 'eu-central-1', token: undefined });
  });

  test('each command has its own pair', async () => {
    const { status } = await run('kms-decrypt', ['-u', 'alice', '-k', 'alias/theKey'], {
      stdin: Buffer.alloc(90, 1).toString('base64'),
      env: {
        ...chain,
        AWS_ENDPOINT_URL: proxy.endpoint,
        ENCRYPTOR_AWS_ACCESS_KEY_ID: 'PAIRID',
        ENCRYPTOR_AWS_SECRET_ACCESS_KEY: 'pair-secret',
        DECRYPTOR_AWS_ACCESS_KEY_ID: 'OTHERID',
        DECRYPTOR_AWS_SECRET_ACCESS_KEY: 'other-secret',
      },
    });
    assert.equal(status, 0);
    assert.deepEqual(seen(), { id: 'OTHERID', region: 'eu-central-1', token: undefined });
  });

  test('a profile overrides a pair, and gives the Region if nothing else does', async () => {
    const home = temporaryFolder();
    mkdirSync(join(home, '.aws'));
    writeFileSync(
      join(home, '.aws', 'config'),
      '[profile work]\nregion = ap-southeast-2\naws_access_key_id = WORKID\naws_secret_access_key = work-secret\n',
    );
    const env = {
      ...chain,
      AWS_REGION: undefined,
      ENCRYPTOR_AWS_ACCESS_KEY_ID: 'PAIRID',
      ENCRYPTOR_AWS_SECRET_ACCESS_KEY: 'pair-secret',
    };
    assert.equal((await encrypt(env, { args: ['--profile', 'work'], home })).status, 0);
    assert.deepEqual(seen(), { id: 'WORKID', region: 'ap-southeast-2', token: undefined });

    proxy.requests.length = 0;
    await encrypt({ ...env, AWS_REGION: 'eu-west-1' }, { args: ['--profile', 'work'], home });
    assert.equal(seen().region, 'eu-west-1');
  });

  test('an ARN names its Region, whatever the settings say', async () => {
    assert.equal((await encrypt(chain, { args: ['-k', keyArn] })).status, 0);
    assert.equal(seen().region, 'us-west-2');

    proxy.requests.length = 0;
    const agreed = await encrypt(chain, { args: ['-k', keyArn, '--region', 'us-west-2'] });
    assert.deepEqual([agreed.status, seen().region], [0, 'us-west-2']);
  });

  test('--region against an ARN is a contradiction', async () => {
    for (const key of [keyArn, 'arn:aws:kms:us-west-2:123456789012:alias/theKey']) {
      const failure = await failureOf(
        'kms-encrypt',
        ['-u', 'alice', '-k', key, '--region', 'eu-central-1'],
        { stdin: 'x', env: { ...chain, AWS_ENDPOINT_URL: proxy.endpoint } },
      );
      assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
      assert.match(failure.message, /--region is eu-central-1, but the key's ARN says us-west-2/);
    }
    assert.equal(proxy.count(), 0);
  });

  test('only settings of this program are read from .env', async () => {
    const file = {
      AWS_ACCESS_KEY_ID: 'FILEID',
      AWS_SECRET_ACCESS_KEY: 'file-secret',
      AWS_SESSION_TOKEN: 'file-token',
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_MAX_ATTEMPTS: '0',
      AWS_CONFIG_FILE: '/nonexistent',
      AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true',
      NODE_OPTIONS: '--require=/nonexistent',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      DEBUG: 'kms-poc',
      PATH: '/nonexistent',
      AWS_REGION: 'eu-north-1',
    };
    const { status } = await encrypt({ ...chain, AWS_REGION: undefined }, { file });
    assert.equal(status, 0);
    assert.deepEqual(seen(), { id: 'CHAINID', region: 'eu-north-1', token: 'chain-token' });

    // And nothing in it counts as credentials if there are no others.
    proxy.requests.length = 0;
    const alone = await encrypt({}, { file });
    assert.equal(alone.status, 4);
    assert.equal(alone.stdout.length, 0);
    assert.equal(proxy.count(), 0);
  });

  test('an endpoint without encryption is named, whoever it belongs to', () => {
    const said = (url: string): string[] => {
      const texts: string[] = [];
      const keep = (text: string): void => {
        texts.push(text);
      };
      const settings = load({ environment: { AWS_ENDPOINT_URL: url } });
      const { events } = createAccess(settings, { notice: keep, warn: keep });
      events.endpoint('kms', new URL(url));
      return texts;
    };
    const by = '(set by AWS_ENDPOINT_URL).';
    const aws = 'kms.eu-central-1.amazonaws.com';
    assert.deepEqual(said(`https://${aws}`), []);
    assert.deepEqual(said(`http://${aws}`), [
      `messages are sent to ${aws}, without encryption ${by}`,
    ]);
    assert.deepEqual(said('http://kms.example'), [
      `messages are sent to kms.example, which is not AWS KMS, without encryption ${by}`,
    ]);
    assert.deepEqual(said('http://127.0.0.1:1'), [
      `messages are sent to 127.0.0.1, which is not AWS KMS ${by}`,
    ]);
  });

  test('an endpoint that is not AWS is named with its source, even with --quiet', async () => {
    const notice = (source: string): string =>
      `kms-encrypt: messages are sent to 127.0.0.1, which is not AWS KMS (set by ${source}).\n`;
    const byEnvironment = await encrypt(chain, { args: ['--quiet'] });
    assert.equal(byEnvironment.stderr, notice('AWS_ENDPOINT_URL'));
    const byFile = await encrypt(
      { ...chain, AWS_ENDPOINT_URL: undefined },
      { args: ['--env-file', '.env'], file: { AWS_ENDPOINT_URL_KMS: proxy.endpoint } },
    );
    assert.equal(byFile.stderr, notice('AWS_ENDPOINT_URL_KMS in .env'));

    const home = temporaryFolder();
    mkdirSync(join(home, '.aws'));
    writeFileSync(join(home, '.aws', 'config'), `[default]\nendpoint_url = ${proxy.endpoint}\n`);
    const byProfile = await encrypt({ ...chain, AWS_ENDPOINT_URL: undefined }, { home });
    assert.equal(byProfile.status, 0);
    assert.equal(byProfile.stderr, notice('the AWS configuration file'));
  });

  test('the endpoint of the profile in use, and of no other', async () => {
    const home = temporaryFolder();
    mkdirSync(join(home, '.aws'));
    const credentials = 'aws_access_key_id = WORKID\naws_secret_access_key = work-secret\n';
    writeFileSync(
      join(home, '.aws', 'config'),
      `[profile work]\nendpoint_url = ${proxy.endpoint}\n${credentials}` +
        `[profile service]\nservices = local\n${credentials}` +
        `[services local]\nkms =\n  endpoint_url = ${proxy.endpoint}\n` +
        `[profile other]\nendpoint_url = ${refusingEndpoint}\n${credentials}`,
    );
    const env = { AWS_ENDPOINT_URL: undefined, AWS_REGION: 'eu-central-1' };
    for (const profile of ['work', 'service']) {
      const args = ['--profile', profile];
      for (const finished of [
        await encrypt({ ...env, AWS_PROFILE: 'other' }, { args, home }),
        await encrypt(env, { args, home }),
        await encrypt(env, { file: { AWS_PROFILE: profile }, home }),
      ]) {
        assert.equal(finished.status, 0, finished.stderr);
        assert.match(finished.stderr, /\(set by the AWS configuration file\)/);
      }
    }
    assert.equal(proxy.count(), 6);
    const given = { ...env, AWS_ENDPOINT_URL: proxy.endpoint };
    assert.equal((await encrypt(given, { args: ['--profile', 'other'], home })).status, 0);
  });

  test('an endpoint from .env that would show messages to the network is refused', async () => {
    const cwd = temporaryFolder();
    settingsFile({ AWS_ENDPOINT_URL: 'http://kms.example' }, cwd);
    const failure = await failureOf('kms-encrypt', ['-u', 'alice', '-k', 'alias/theKey'], {
      stdin: 'x',
      env: chain,
      cwd,
    });
    assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
    assert.match(failure.message, /^AWS_ENDPOINT_URL in \.env would send messages to kms\.example/);
  });

  test('an .env that others can read gets a notice, unless --quiet', async () => {
    const cwd = temporaryFolder();
    chmodSync(settingsFile({ AWS_ENDPOINT_URL: proxy.endpoint }, cwd), 0o644);
    const stderrOf = async (args: string[]): Promise<string> =>
      (
        await run('kms-encrypt', ['-u', 'alice', '-k', 'alias/theKey', ...args], {
          stdin: 'x',
          env: chain,
          cwd,
        })
      ).stderr;
    assert.match(
      await stderrOf([]),
      /^kms-encrypt: other users can read \.env\. Run: chmod 600 \.env\n/,
    );
    // What it is about can end the run as well.
    assert.doesNotMatch(await stderrOf(['-q']), /can read/);
  });

  test('a file named with --env-file that does not exist', async () => {
    const failure = await failureOf('kms-decrypt', ['-u', 'alice', '--env-file', 'none'], {
      env: { KEY_ID: 'local' },
    });
    assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
    assert.equal(failure.message, "Can't read the settings file none: no such file (ENOENT).");
  });

  test('what the environment overrides in a file that was named is said, but not its value', async () => {
    const cwd = temporaryFolder();
    const values =
      'KEY_ID=alias/other\nUSERS=alice,bob\nAWS_REGION=eu-central-1\nSIGN=no\nDECRYPT_KEYS=local\n';
    for (const name of ['.env', 'named.env']) {
      writeFileSync(join(cwd, name), values, { mode: 0o600 });
    }
    const env = { KEY_ID: 'local', USERS: 'alice', AWS_REGION: 'eu-central-1', SIGN: '' };
    const stderrOf = async (...args: string[]): Promise<string> => {
      const options = { stdin: 'x', env, cwd };
      const { status, stderr } = await run('kms-encrypt', ['-u', 'alice', ...args], options);
      assert.equal(status, 0, stderr);
      return stderr.replace(/^kms-encrypt: created a new local key.*\n/m, '');
    };
    const named = ['--env-file', 'named.env'];
    assert.equal(
      await stderrOf(...named),
      'kms-encrypt: the environment overrides KEY_ID, USERS in named.env.\n',
    );
    assert.equal(await stderrOf(...named, '-q'), '');
    assert.equal(await stderrOf(), '', 'an .env that nobody named gives way silently');
  });

  test('the installed command keeps Node from taking --env-file for its own', async () => {
    const folder = temporaryFolder();
    const program = join(import.meta.dirname, '..', '..', 'dist', 'kms-encrypt.js');
    symlinkSync(program, join(folder, 'kms-encrypt')); // the way npm installs it
    writeFileSync(join(folder, 'evil.cjs'), 'console.log("this ran")\n');
    const file = settingsFile({ NODE_OPTIONS: `--require=${join(folder, 'evil.cjs')}` });
    const encryptWith = (envFile: string): Promise<Finished> =>
      run(join(folder, 'kms-encrypt'), ['-u', 'nobody', '-k', 'local', '--env-file', envFile], {
        env: { PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}` },
      });
    const { status, stdout, stderr } = await encryptWith(file);
    assert.deepEqual([status, stdout.toString()], [2, '']);
    assert.match(stderr, /^kms-encrypt: nobody is not one of the users/);
    assert.equal((await encryptWith('none')).status, 2);
  });

  test('without a terminal nothing is asked: no user, no key, another user', async () => {
    const missing: [string[], RegExp, RegExp][] = [
      [['-k', 'local'], /^No user given\.$/, /--user/],
      [['-u', 'alice'], /^No key is set\.$/, /KEY_ID.*--key local/],
      [['-u', 'carol', '-k', 'local'], /^carol is not one of the users: alice, bob\.$/, /USERS/],
    ];
    for (const [args, says, hint] of missing) {
      for (const command of ['kms-encrypt', 'kms-decrypt'] as const) {
        const failure = await failureOf(command, args, { stdin: 'x' });
        assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
        assert.match(failure.message, says);
        assert.match(failure.hint ?? '', hint);
      }
    }
  });
});
