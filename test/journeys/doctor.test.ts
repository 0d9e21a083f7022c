/**
 * kms-doctor as a person and as cron see it: the real commands, against moto behind a proxy that
 * causes whatever can go wrong.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import type { Check } from '../../src/doctor/check.ts';
import { type Environment, type Finished, run, temporaryFolder } from '../support/command.ts';
import { checkLine } from '../support/failure.ts';
import {
  awsError,
  type FaultProxy,
  refusingEndpoint,
  startFaultProxy,
} from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';
import { makeRsaPair, type RsaPair, writePrivate } from '../support/rsa-keys.ts';

let moto: Moto;
let proxy: FaultProxy;
/** A multi-Region key, in eu-central-1 and eu-west-1. */
let key: TestKey;
/** In eu-north-1. */
let backup: TestKey;
/** The folder with the RSA key files. */
const folder = temporaryFolder();
let rsa: RsaPair;
let otherRsa: RsaPair;

before(async () => {
  moto = await startMoto();
  proxy = await startFaultProxy({ target: moto.endpoint });
  [key, backup] = await Promise.all([
    moto.createKey({ alias: 'theKey', replicaRegion: 'eu-west-1' }),
    moto.createKey({ region: 'eu-north-1' }),
  ]);
  rsa = makeRsaPair(folder, 'backup');
  otherRsa = makeRsaPair(folder, 'other');
});
beforeEach(() => {
  proxy.reset();
});
after(async () => {
  await proxy.stop();
  await moto.stop();
});

type Row = Omit<Check, 'error'> & { error?: { code: string; message: string; hint?: string } };

interface Report {
  status: number | null;
  ok: boolean;
  checks: Row[];
  stderr: string;
  /** One row, such as `routes KEY_ID`: there must be exactly one with that name. */
  row: (sectionAndName: string) => Row;
  /** The names of the rows that are wrong, with their sections and codes. */
  wrong: string[];
  skipped: string[];
}

type Options = Parameters<typeof run>[2];

/** AWS through the proxy, without retries. */
const aws = (more: Environment = {}): Environment => ({
  ...moto.env,
  AWS_ENDPOINT_URL: proxy.endpoint,
  AWS_MAX_ATTEMPTS: '1',
  ...more,
});

/** Runs it with --json, and checks what is true of every report. */
async function doctor(args: string[], options: Options = {}): Promise<Report> {
  const cwd = options.cwd ?? temporaryFolder();
  const home = options.home ?? temporaryFolder();
  const files = (): string[] => [cwd, home].flatMap((each) => readdirSync(each));
  const filesBefore = files();
  const finished = await run('kms-doctor', [...args, '--json'], { ...options, cwd, home });
  const left = files().filter((file) => !filesBefore.includes(file));
  assert.deepEqual(
    left.filter((file) => file !== 'cache'),
    [],
    'no file is made',
  );
  return readReport(finished);
}

function readReport({ status, stdout, stderr }: Finished): Report {
  const text = stdout.toString();
  assert.match(text, /^\{.*\}\n$/, `one line of JSON: ${text}${stderr}`);
  const { ok, checks, ...rest } = JSON.parse(text) as { ok: boolean; checks: Row[] };
  assert.deepEqual(rest, {});
  for (const row of checks) {
    const { section, name, state, detail, hint, milliseconds, error, ...others } = row;
    assert.deepEqual(others, {});
    checkLine(`${section} ${name}: ${detail}`);
    assert.match(state, /^(?:ok|advice|wrong|skipped)$/);
    assert.ok(milliseconds === undefined || Number.isInteger(milliseconds));
    assert.equal(error !== undefined, state === 'wrong', `an error where it is wrong: ${name}`);
    assert.equal(hint !== undefined, state === 'advice', `a hint where it is advice: ${name}`);
    checkLine(hint ?? '');
    if (error === undefined) continue;
    assert.equal(error.message, detail);
    checkLine(error.hint ?? '');
  }
  assert.equal(ok, status === 0);
  assert.equal(ok, !checks.some(({ state }) => state === 'wrong'));
  const named = ({ section, name }: Row): string => `${section} ${name}`;
  return {
    status,
    ok,
    checks,
    stderr,
    row: (wanted) => {
      const [found, ...others] = checks.filter((row) => named(row) === wanted);
      assert.ok(found !== undefined, `${wanted} among ${checks.map(named).join(' | ')}`);
      assert.equal(others.length, 0, `${wanted} is there once`);
      return found;
    },
    wrong: checks.flatMap((row) =>
      row.error === undefined ? [] : [`${named(row)}: ${row.error.code}`],
    ),
    skipped: checks.filter(({ state }) => state === 'skipped').map(named),
  };
}

describe('a correct setup', () => {
  test('a local key: nothing is asked of AWS', async () => {
    const file = join(temporaryFolder(), 'my.key');
    await run('kms-encrypt', ['-u', 'alice', '-k', `local:${file}`], { stdin: 'x' });
    const report = await doctor([], { env: aws({ KEY_ID: `local:${file}` }) });
    assert.deepEqual([report.status, report.wrong, report.skipped], [0, [], []]);
    assert.equal(report.row('files local key').detail, `${file} (mode 0600)`);
    assert.equal(report.row('routes KEY_ID').detail, `local:${file} opened it`);
    assert.deepEqual([report.stderr, proxy.count()], ['', 0]);
  });

  test('AWS KMS, with a pair for each role', async () => {
    const oneRegion = await moto.createKey({ alias: 'oneRegion' });
    const report = await doctor(['-u', 'bob'], {
      env: aws({
        KEY_ID: 'alias/oneRegion',
        ENCRYPTOR_AWS_ACCESS_KEY_ID: 'AKIAENCRYPTOREXAMPLE',
        ENCRYPTOR_AWS_SECRET_ACCESS_KEY: 'sentinel-of-the-encryptor',
        DECRYPTOR_AWS_ACCESS_KEY_ID: 'AKIADECRYPTOREXAMPLE',
        DECRYPTOR_AWS_SECRET_ACCESS_KEY: 'sentinel-of-the-decryptor',
      }),
    });
    assert.deepEqual([report.status, report.wrong, report.skipped], [0, [], []]);
    assert.equal(
      report.row("settings encryptor's credentials").detail,
      'AKIAENCRYPTOREXAMPLE, from the environment',
    );
    assert.match(report.row('identity encryptor').detail, /^arn:aws:sts::123456789012:/);
    assert.match(report.row('identity decryptor').detail, /^arn:aws:sts::123456789012:/);
    assert.equal(
      report.row('keys KEY_ID').detail,
      `alias/oneRegion is ${oneRegion.keyArn}, enabled, single-Region`,
    );
    const route = report.row('routes KEY_ID in eu-central-1');
    assert.equal(route.detail, 'encrypted and decrypted a short and a long message');
    assert.ok(route.milliseconds !== undefined && route.milliseconds > 0);
    assert.doesNotMatch(JSON.stringify(report), /sentinel/);

    // As each role, for the user, and in the two ways in which messages are encrypted.
    const calls = proxy.requests
      .filter(({ operation }) => /^(?:Encrypt|GenerateDataKey|Decrypt)$/.test(operation))
      .map(({ operation, accessKeyId, body }) => [
        operation,
        accessKeyId,
        JSON.stringify(body?.EncryptionContext),
      ]);
    assert.deepEqual(calls, [
      ['Encrypt', 'AKIAENCRYPTOREXAMPLE', '{"user":"bob"}'],
      ['GenerateDataKey', 'AKIAENCRYPTOREXAMPLE', '{"user":"bob"}'],
      ['Decrypt', 'AKIADECRYPTOREXAMPLE', '{"user":"bob"}'],
      ['Decrypt', 'AKIADECRYPTOREXAMPLE', '{"user":"bob"}'],
    ]);
    // Unfamiliar hosts are announced, each once.
    assert.deepEqual(report.stderr.split('\n').slice(0, -1), [
      'kms-doctor: identities are checked with 127.0.0.1, which is not AWS STS (set by AWS_ENDPOINT_URL).',
      'kms-doctor: messages are sent to 127.0.0.1, which is not AWS KMS (set by AWS_ENDPOINT_URL).',
    ]);
  });

  test('two Regions, a KMS and an RSA backup key, and the private key at hand', async () => {
    const report = await doctor([], {
      cwd: folder,
      env: aws({
        KEY_ID: key.keyArn,
        FALLBACK_REGIONS: 'eu-west-1',
        BACKUP_KEYS: `${backup.keyArn}, rsa:backup-public.pem`,
        DECRYPT_KEYS: `alias/theKey, ${key.keyArn}, rsa:backup-private.pem`,
      }),
    });
    assert.deepEqual([report.status, report.wrong], [0, []]);
    assert.deepEqual(report.skipped, ['routes old key 1']);
    assert.match(
      report.row('keys KEY_ID').detail,
      /enabled, primary in eu-central-1, replicas in eu-west-1$/,
    );
    const routes = report.checks.filter(({ section }) => section === 'routes');
    assert.deepEqual(
      routes.map(({ name, detail }) => `${name}: ${detail}`),
      [
        'KEY_ID in eu-central-1: encrypted and decrypted a message',
        'KEY_ID in eu-west-1: encrypted and decrypted a message',
        'eu-central-1, opened in eu-west-1: decrypted',
        'eu-west-1, opened in eu-central-1: decrypted',
        'encrypt with all keys: one message with 3 keys',
        'backup key 1 alone: backup key 1 opened it',
        `backup key 2 alone: rsa:backup-private.pem, the private key for rsa:backup-public.pem, opened it (${rsa.fingerprint})`,
        'old key 1: Nothing is encrypted with it any more, so there is no message to try.',
        `old key 3: rsa:backup-private.pem opened a message of its own: it is the private key for backup key 2 (${rsa.fingerprint})`,
      ],
    );
  });
});

describe('settings', () => {
  test('each says where it came from, and none reveals its secret', async () => {
    const cwd = temporaryFolder();
    const file = join(cwd, 'doctor.env');
    writeFileSync(
      file,
      [
        'KEY_ID=alias/notThis',
        'USERS=carol,dave',
        'AWS_REGION=eu-west-1',
        `AWS_ENDPOINT_URL=http://name:sentinel@127.0.0.1:${new URL(proxy.endpoint).port}`,
        'ENCRYPTOR_AWS_ACCESS_KEY_ID=sentinelOfSecretsPastedIntoAWrongLine',
        'ENCRYPTOR_AWS_SECRET_ACCESS_KEY=sentinel',
      ].join('\n'),
      { mode: 0o600 },
    );
    const args = ['--env-file', file, '--key', 'alias/theKey'];
    const report = await doctor(args, {
      cwd,
      env: { ...aws({ AWS_ENDPOINT_URL: undefined }), AWS_REGION: 'eu-central-1' },
    });
    assert.deepEqual([report.status, report.wrong], [0, []]);
    assert.equal(report.row('settings settings file').detail, file);
    assert.equal(report.row('settings KEY_ID').detail, 'alias/theKey, from --key');
    assert.equal(report.row('settings USERS').detail, `carol, dave, from ${file}`);
    assert.equal(report.row('settings AWS_REGION').detail, 'eu-central-1, from the environment');
    assert.equal(
      report.row('settings endpoint of KMS').detail,
      `${proxy.endpoint}, set by AWS_ENDPOINT_URL in ${file}`,
    );
    assert.match(
      report.row("settings encryptor's credentials").detail,
      /not shown, since it doesn't look like an access key id, from .*doctor\.env$/,
    );
    assert.match(report.row('settings BACKUP_KEYS').detail, /^not set: only one key opens/);
    assert.doesNotMatch(JSON.stringify(report), /sentinel/);
    assert.ok(proxy.requests.some(({ body }) => JSON.stringify(body ?? '').includes('"carol"')));
  });

  describe('names in the file that nothing reads', () => {
    const hints: Record<string, string | undefined> = {
      BACKUP_KEY: 'Did you mean BACKUP_KEYS?',
      'key-id': 'Did you mean KEY_ID?',
      SIGNED: 'Did you mean SIGN?',
      USRES: 'Did you mean USERS?',
      BACKUP: 'Did you mean BACKUP_KEYS?',
      FALBACK_REGION: 'Did you mean FALLBACK_REGIONS?',
      decryptor_aws_access_key_id: 'Did you mean DECRYPTOR_AWS_ACCESS_KEY_ID?',
      AWS_ACCESS_KEY_ID: 'It only counts in the environment: export it.',
      AWS_DEFAULT_REGION: 'Use AWS_REGION.',
      DECRYPTOR_AWS_SESSION_TOKEN: 'See .env.example for the names that are.',
      // Another program's:
      ...{
        PORT: undefined,
        SIZE: undefined,
        PIN: undefined,
        KEY: undefined,
        SIGNAL_URL: undefined,
      },
      ...{ DATABASE_URL: undefined, AWS_ENDPOINT_URL_SQS: undefined, AWS_BUCKET: undefined },
    };
    const fileInFolder = (): string => {
      const cwd = temporaryFolder();
      const lines = ['KEY_ID=local', ...Object.keys(hints).map((name) => `${name}=sentinel`)];
      writeFileSync(join(cwd, '.env'), lines.join('\n'), { mode: 0o600 });
      return cwd;
    };

    test('each that looks like a setting is told of, but not its value', async () => {
      const report = await doctor([], { cwd: fileInFolder() });
      assert.equal(report.status, 0);
      const found = report.checks.filter(({ name }) => Object.hasOwn(hints, name));
      assert.deepEqual(
        found.map(({ name, state, detail, hint }) => [name, state, detail, hint]),
        Object.entries(hints)
          .filter(([, hint]) => hint !== undefined)
          .map(([name, hint]) => [name, 'advice', 'not read from .env', hint]),
      );
      assert.doesNotMatch(JSON.stringify(report), /sentinel/);
    });

    test('with its own hint in the table, too', async () => {
      const { stdout } = await run('kms-doctor', [], { cwd: fileInFolder() });
      for (const hint of Object.values(hints)) {
        assert.ok(hint === undefined || stdout.toString().includes(`hint: ${hint}\n`), hint);
      }
    });
  });

  test('no key, and no terminal', async () => {
    const report = await doctor([]);
    assert.deepEqual([report.status, report.wrong], [2, ['settings KEY_ID: Usage']]);
    assert.equal(report.row('settings KEY_ID').detail, 'No key is set.');
  });

  test('what is wrong with one does not hide the others', async () => {
    const report = await doctor([], {
      cwd: folder,
      env: aws({
        KEY_ID: 'theKey',
        USERS: 'a b',
        FALLBACK_REGIONS: 'Frankfurt',
        AWS_REGION: 'Frankfurt am Main',
        BACKUP_KEYS: 'rsa:backup-public.pem',
        DECRYPT_KEYS: 'age:x',
        AWS_ENDPOINT_URL_STS: 'ftp://x',
        ENCRYPTOR_AWS_ACCESS_KEY_ID: 'AKIAENCRYPTOREXAMPLE',
      }),
    });
    assert.equal(report.status, 2);
    assert.deepEqual(report.wrong, [
      'settings KEY_ID: Usage',
      'settings DECRYPT_KEYS: Usage',
      'settings FALLBACK_REGIONS: Usage',
      'settings USERS: Usage',
      'settings AWS_REGION: Usage',
      'settings endpoint of STS: Usage',
      "settings encryptor's credentials: Usage",
    ]);
    assert.equal(report.row('settings BACKUP_KEYS').state, 'ok');
    assert.deepEqual(report.skipped, ['routes all routes']);
  });

  test('half a pair stops its role, and says so', async () => {
    const report = await doctor([], {
      env: aws({ KEY_ID: key.keyArn, DECRYPTOR_AWS_SECRET_ACCESS_KEY: 'sentinel' }),
    });
    assert.equal(report.status, 2);
    assert.deepEqual(report.wrong, [
      "settings decryptor's credentials: Usage",
      'identity decryptor: Usage',
      'routes KEY_ID in eu-central-1: Usage',
    ]);
    assert.match(report.row('identity encryptor').detail, /^arn:/);
    assert.match(report.row('keys KEY_ID').detail, /enabled/);
    assert.doesNotMatch(JSON.stringify(report), /sentinel/);
  });

  test('more backup keys than a message can have', async () => {
    const BACKUP_KEYS = Array.from({ length: 16 }, () => 'rsa:backup-public.pem').join(',');
    const report = await doctor(['-k', 'local:none.key'], { cwd: folder, env: { BACKUP_KEYS } });
    assert.deepEqual(report.wrong, ['settings BACKUP_KEYS: Usage']);
    assert.equal(report.row('routes --key').state, 'advice');
    assert.match(report.row('settings BACKUP_KEYS').detail, /^BACKUP_KEYS names 16 keys/);
  });

  test('the endpoint of the profile in use', async () => {
    const home = temporaryFolder();
    mkdirSync(join(home, '.aws'));
    writeFileSync(
      join(home, '.aws', 'config'),
      `[profile work]\nendpoint_url = ${proxy.endpoint}\n` +
        'aws_access_key_id = WORKID\naws_secret_access_key = work-secret\n',
    );
    const report = await doctor(['--profile', 'work', '-k', key.keyArn], {
      home,
      env: { AWS_MAX_ATTEMPTS: '1' },
    });
    assert.deepEqual([report.status, report.wrong], [0, []]);
    assert.match(report.row('identity encryptor').detail, /^arn:/);
    assert.match(report.stderr, /127\.0\.0\.1, which is not AWS STS/);
  });

  test('FALLBACK_REGIONS for a single-Region key', async () => {
    const report = await doctor([], {
      env: aws({ KEY_ID: 'alias/theKey', FALLBACK_REGIONS: 'eu-west-1' }),
    });
    assert.deepEqual([report.status, report.wrong], [2, ['settings FALLBACK_REGIONS: Usage']]);
    assert.equal(report.row('routes KEY_ID in eu-central-1').state, 'ok');
  });

  test('with an endpoint that may not be used, nothing is sent anywhere', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, '.env'), 'AWS_ENDPOINT_URL=http://kms.example.com\n', { mode: 0o600 });
    const report = await doctor([], {
      cwd,
      env: aws({ KEY_ID: key.keyArn, AWS_ENDPOINT_URL: undefined }),
    });
    assert.equal(report.status, 2);
    for (const row of ['settings endpoint of KMS', 'keys KEY_ID', 'routes KEY_ID']) {
      assert.match(report.row(row).detail, /would send messages to kms\.example\.com without/);
    }
    assert.deepEqual(report.skipped, []);
  });

  test('an invalid call: status 2, and no report', async () => {
    for (const [args, env, says] of [
      [[], { USERS: '*' }, /No user given, and USERS allows any name/],
      [['-u', 'eve'], {}, /eve is not one of the users/],
      [['--env-file', 'none.env'], {}, /Can't read the settings file none\.env/],
      [['message'], {}, /Unexpected argument\.\n/],
      [['--batch'], {}, /Unknown option --batch/],
    ] as const) {
      const { status, stdout, stderr } = await run('kms-doctor', [...args], {
        env: { KEY_ID: 'local', ...env },
      });
      assert.deepEqual([status, stdout.length], [2, 0]);
      assert.match(stderr, says);
    }
    const { checks } = await doctor(['-u', 'carol'], { env: { KEY_ID: 'local', USERS: '*' } });
    assert.ok(checks.length > 0);
  });
});

describe('files', () => {
  test('that others can read', async () => {
    const cwd = temporaryFolder();
    const pair = makeRsaPair(cwd, 'open');
    writeFileSync(join(cwd, 'passphrase'), 'none is needed\n');
    writeFileSync(
      join(cwd, '.env'),
      'KEY_ID=local:local.key\nBACKUP_KEYS=rsa:open-public.pem\nDECRYPT_KEYS=rsa:open-private.pem\nRSA_PASSPHRASE_FILE=passphrase\n',
      { mode: 0o600 },
    );
    await run('kms-encrypt', ['-u', 'alice', '-q'], { cwd, stdin: 'x' });
    const secrets = ['.env', 'passphrase', 'local.key', 'open-private.pem'];
    for (const file of secrets) chmodSync(join(cwd, file), 0o640);

    const report = await doctor([], { cwd });
    assert.equal(report.status, 2);
    assert.deepEqual(report.wrong, [
      'files settings file: Usage',
      'files passphrase file: Usage',
      'files local key: Usage',
      'files RSA key: Usage',
    ]);
    assert.equal(
      report.row('files RSA key').detail,
      'Other users can read open-private.pem (mode 0640).',
    );
    assert.equal(report.row('files RSA key').error?.hint, 'Run: chmod 600 open-private.pem');

    for (const file of secrets) chmodSync(join(cwd, file), 0o600);
    chmodSync(pair.publicFile, 0o666);
    const changeable = await doctor([], { cwd });
    assert.deepEqual(changeable.wrong, ['files RSA public key: Usage']);
    assert.match(changeable.row('files RSA public key').detail, /^Other users can change /);
  });

  test('a passphrase file that does not exist', async () => {
    const env = { KEY_ID: 'rsa:backup-public.pem', RSA_PASSPHRASE_FILE: 'none' };
    const report = await doctor([], { cwd: folder, env });
    assert.deepEqual([report.status, report.wrong], [2, ['files passphrase file: Usage']]);
  });

  test('a local key that does not exist yet is not an error, and is not created', async () => {
    const home = temporaryFolder();
    const report = await doctor([], { home, env: { KEY_ID: 'local', BACKUP_KEYS: 'local:b.key' } });
    assert.deepEqual([report.status, report.wrong], [0, []]);
    assert.equal(report.row('routes KEY_ID').state, 'advice');
    assert.equal(report.row('routes backup key 1 alone').state, 'advice');
    assert.match(report.row('routes KEY_ID').detail, /There is no local key .*local\.key yet\./);
  });
});

describe('identity', () => {
  test('STS out of reach is no reason to stop', async () => {
    const report = await doctor([], {
      env: aws({ KEY_ID: key.keyArn, AWS_ENDPOINT_URL_STS: refusingEndpoint }),
    });
    assert.deepEqual([report.status, report.wrong], [0, []]);
    assert.deepEqual(report.skipped, ['identity encryptor', 'identity decryptor']);
    assert.equal(
      report.row('identity encryptor').detail,
      'AWS STS in eu-central-1 could not identify these credentials (ECONNREFUSED).',
    );
    assert.equal(
      report.row('settings endpoint of STS').detail,
      `${refusingEndpoint}, set by AWS_ENDPOINT_URL_STS`,
    );
    assert.equal(report.row('routes KEY_ID in eu-central-1').state, 'ok');
  });

  test('invalid credentials', async () => {
    proxy.fault(
      {
        kind: 'answer',
        status: 403,
        contentType: 'text/xml',
        body: '<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>x</Message></Error></ErrorResponse>',
      },
      { operation: 'GetCallerIdentity' },
    );
    proxy.fault(awsError('UnrecognizedClientException'));
    const report = await doctor([], { env: aws({ KEY_ID: key.keyArn }) });
    assert.equal(report.status, 4);
    assert.deepEqual(report.wrong, [
      'identity encryptor: Credentials',
      'identity decryptor: Credentials',
      'keys KEY_ID: Credentials',
      'routes KEY_ID in eu-central-1: Credentials',
    ]);
    assert.match(report.row('identity encryptor').detail, /does not recognize this access key/);
  });

  test('no credentials at all', async () => {
    const report = await doctor([], {
      env: aws({ KEY_ID: key.keyArn, AWS_ACCESS_KEY_ID: undefined }),
    });
    assert.equal(report.status, 4);
    assert.equal(report.row('identity encryptor').error?.code, 'Credentials');
  });

  test('a clock that is an hour off is not an error: the SDK corrects it', async () => {
    const hourAgo = new Date(Date.now() - 3_600_000).toUTCString();
    proxy.fault({ kind: 'headers', headers: { date: hourAgo } });
    const report = await doctor([], { env: aws({ KEY_ID: key.keyArn }) });
    assert.deepEqual([report.status, report.wrong, report.skipped], [0, [], []]);
  });
});

describe('keys', () => {
  test('a missing permission to look it up is not an error', async () => {
    proxy.fault(awsError('AccessDeniedException'), { operation: 'DescribeKey' });
    const blind = await doctor([], {
      env: aws({ KEY_ID: key.keyArn, FALLBACK_REGIONS: 'eu-west-1' }),
    });
    assert.equal(blind.status, 0);
    assert.deepEqual(blind.skipped, ['keys KEY_ID', 'keys KEY_ID in eu-west-1']);
  });

  test('one that is scheduled for deletion', async () => {
    const doomed = await moto.createKey();
    await moto
      .kms()
      .send(new ScheduleKeyDeletionCommand({ KeyId: doomed.keyId, PendingWindowInDays: 7 }));
    const report = await doctor([], {
      env: aws({ KEY_ID: key.keyArn, DECRYPT_KEYS: doomed.keyArn }),
    });
    assert.deepEqual([report.status, report.wrong], [4, ['keys old key 1: KeyUnusable']]);
    const day = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 7);
    assert.match(
      report.row('keys old key 1').detail,
      new RegExp(`is scheduled for deletion on ${day}-\\d\\d\\.`),
    );
    assert.match(report.row('keys old key 1').error?.hint ?? '', /aws kms cancel-key-deletion/);
    assert.deepEqual(report.skipped, ['routes old key 1']);
  });

  test('one that is for signatures', async () => {
    const signing = await moto.createKey({ keySpec: 'RSA_3072', keyUsage: 'SIGN_VERIFY' });
    const report = await doctor([], { env: aws({ KEY_ID: signing.keyArn }) });
    assert.equal(report.row('keys KEY_ID').error?.code, 'KeyUnusable');
    assert.match(report.row('keys KEY_ID').detail, /can't encrypt messages/);
    assert.ok((report.status ?? 0) >= 4);
  });

  test('one that does not exist, by its alias', async () => {
    const report = await doctor([], { env: aws({ KEY_ID: 'alias/none' }) });
    assert.deepEqual(
      [report.status, report.wrong],
      [4, ['keys KEY_ID: KeyNotFound', 'routes KEY_ID in eu-central-1: KeyNotFound']],
    );
  });

  test('a fallback Region without a replica', async () => {
    const report = await doctor([], {
      env: aws({ KEY_ID: key.keyArn, FALLBACK_REGIONS: 'eu-west-1,eu-south-1' }),
    });
    assert.equal(report.status, 4);
    assert.equal(
      report.row('keys KEY_ID in eu-south-1').detail,
      'FALLBACK_REGIONS names eu-south-1, but the key has no replica there.',
    );
    assert.match(
      report.row('keys KEY_ID in eu-south-1').error?.hint ?? '',
      /replicate-key .*eu-south-1/,
    );
    assert.equal(report.row('routes eu-central-1, opened in eu-west-1').state, 'ok');
    assert.equal(report.row('routes KEY_ID in eu-south-1').error?.code, 'KeyNotFound');
  });
});

describe('routes', () => {
  test('a Region that is down: each route through it, and no other', async () => {
    proxy.fault({ kind: 'reset', when: 'at-request' }, { region: 'eu-central-1' });
    const report = await doctor([], {
      env: aws({ KEY_ID: key.keyArn, FALLBACK_REGIONS: 'eu-west-1' }),
    });
    assert.equal(report.status, 5);
    assert.deepEqual(report.wrong, [
      'keys KEY_ID: Unavailable',
      'routes KEY_ID in eu-central-1: Unavailable',
      'routes eu-west-1, opened in eu-central-1: Unavailable',
    ]);
    assert.deepEqual(report.skipped, [
      'identity encryptor',
      'identity decryptor',
      'routes eu-central-1, opened in eu-west-1',
    ]);
    assert.equal(report.row('routes KEY_ID in eu-west-1').state, 'ok');
  });

  test('a Region that does not answer is waited for once', async () => {
    proxy.fault({ kind: 'silence' }, { region: 'eu-west-1' });
    const report = await doctor([], {
      env: aws({ KEY_ID: key.keyArn, FALLBACK_REGIONS: 'eu-west-1' }),
    });
    assert.equal(report.status, 5);
    assert.deepEqual(report.wrong, [
      'keys KEY_ID in eu-west-1: Unavailable',
      'routes KEY_ID in eu-west-1: Unavailable',
      'routes eu-central-1, opened in eu-west-1: Unavailable',
    ]);
    assert.equal(proxy.count(undefined, 'eu-west-1'), 1);
  });

  test('a disabled backup key is named, and the other one is still tried', async () => {
    const there = { region: 'eu-north-1' };
    proxy.fault(
      {
        kind: 'rewrite',
        rewrite: ({ KeyMetadata }) => ({
          KeyMetadata: { ...(KeyMetadata as object), KeyState: 'Disabled' },
        }),
      },
      { operation: 'DescribeKey', ...there },
    );
    proxy.fault(awsError('DisabledException'), there);
    const report = await doctor([], {
      cwd: folder,
      env: aws({
        KEY_ID: key.keyArn,
        BACKUP_KEYS: `${backup.keyArn},rsa:backup-public.pem`,
        DECRYPT_KEYS: 'rsa:backup-private.pem',
      }),
    });
    assert.equal(report.status, 4);
    assert.deepEqual(report.wrong, [
      'keys backup key 1: KeyUnusable',
      'routes encrypt with all keys: KeyUnusable',
      'routes backup key 1 alone: KeyUnusable',
    ]);
    assert.match(report.row('keys backup key 1').error?.hint ?? '', /aws kms enable-key/);
    assert.match(
      report.row('routes backup key 2 alone').detail,
      /backup-private\.pem, the private key for .*, opened it/,
    );
    // It is never asked for a data key: the permissions for a backup key only include Encrypt.
    assert.equal(proxy.count('GenerateDataKey', 'eu-north-1'), 0);
  });

  test('credentials that may encrypt but not decrypt', async () => {
    proxy.fault(awsError('AccessDeniedException'), { operation: 'Decrypt' });
    const report = await doctor([], { env: aws({ KEY_ID: key.keyArn }) });
    assert.deepEqual(
      [report.status, report.wrong],
      [4, ['routes KEY_ID in eu-central-1: AccessDenied']],
    );
  });

  test('a response that is not what was encrypted', async () => {
    const Plaintext = Buffer.from('something else').toString('base64');
    proxy.fault(
      { kind: 'rewrite', rewrite: (answer) => ({ ...answer, Plaintext }) },
      { operation: 'Decrypt' },
    );
    const report = await doctor([], { env: aws({ KEY_ID: key.keyArn }) });
    assert.deepEqual(
      [report.status, report.wrong],
      [3, ['routes KEY_ID in eu-central-1: CannotDecrypt']],
    );
    assert.equal(
      report.row('routes KEY_ID in eu-central-1').detail,
      'The decrypted message differs from the one that was encrypted.',
    );
    assert.doesNotMatch(JSON.stringify(report), /something else/);
  });

  test('all of AWS down: what you keep yourself still works, and the report says so', async () => {
    const report = await doctor([], {
      cwd: folder,
      env: aws({
        AWS_ENDPOINT_URL: refusingEndpoint,
        KEY_ID: key.keyArn,
        BACKUP_KEYS: 'rsa:backup-public.pem',
        DECRYPT_KEYS: 'rsa:backup-private.pem',
      }),
    });
    assert.equal(report.status, 5);
    assert.deepEqual(report.wrong, [
      'keys KEY_ID: Unavailable',
      'routes KEY_ID in eu-central-1: Unavailable',
      'routes encrypt with all keys: Unavailable',
    ]);
    assert.equal(report.row('routes backup key 1 alone').state, 'ok');
  });

  test('a backup key that is the key itself is no backup', async () => {
    const row = 'routes encrypt with all keys';
    const report = await doctor([], {
      env: aws({ KEY_ID: 'alias/theKey', BACKUP_KEYS: `${key.keyArn},${backup.keyArn}` }),
    });
    assert.deepEqual([report.status, report.row(row).state], [0, 'advice']);
    assert.equal(report.row(row).detail, 'only 2 of the 3 keys are different');
    assert.match(report.row(row).hint ?? '', /^Name another key in BACKUP_KEYS, or remove/);
    const same = aws({ KEY_ID: 'alias/theKey', BACKUP_KEYS: key.keyArn });
    const one = await doctor([], { env: same });
    assert.equal(one.row(row).detail, 'KEY_ID and BACKUP_KEYS name the same key');
  });
});

describe('RSA keys', () => {
  test('a backup key whose private key is elsewhere is not an error', async () => {
    const report = await doctor([], {
      cwd: folder,
      env: { KEY_ID: 'rsa:other-private.pem', BACKUP_KEYS: 'rsa:backup-public.pem' },
    });
    assert.deepEqual([report.status, report.skipped], [0, ['routes backup key 1 alone']]);
    assert.equal(
      report.row('routes backup key 1 alone').detail,
      'rsa:backup-public.pem can encrypt; the private key that decrypts is not here.',
    );
  });

  test('a drill with --key: the right private key, and the wrong one', async () => {
    const env = { KEY_ID: 'alias/unreachable', BACKUP_KEYS: 'rsa:backup-public.pem' };
    const right = await doctor(['--key', 'rsa:backup-private.pem'], { cwd: folder, env });
    assert.equal(right.row('routes encrypt with all keys').state, 'ok', 'one key, on purpose');
    assert.deepEqual([right.status, right.skipped], [0, []]);
    assert.equal(
      right.row('routes --key is a backup key').detail,
      'the private key for backup key 1',
    );
    assert.match(
      right.row('routes backup key 1 alone').detail,
      /^rsa:backup-private\.pem, the private key for .*, opened it/,
    );

    const wrong = await doctor(['--key', 'rsa:other-private.pem'], { cwd: folder, env });
    assert.deepEqual([wrong.status, wrong.wrong], [3, ['routes --key is a backup key: WrongKey']]);
    assert.equal(
      wrong.row('routes --key is a backup key').detail,
      `The private key other-private.pem (${otherRsa.fingerprint}) does not match any backup key (${rsa.fingerprint}).`,
    );
  });

  test('an old private key for no key in use is told apart', async () => {
    const report = await doctor([], {
      cwd: folder,
      env: { KEY_ID: 'rsa:backup-public.pem', DECRYPT_KEYS: 'rsa:other-private.pem' },
    });
    assert.deepEqual([report.status, report.skipped], [0, ['routes KEY_ID']]);
    assert.match(report.row('routes old key 1').detail, /private key for no key in use/);
  });

  test('files that are not keys', async () => {
    const cwd = temporaryFolder();
    makeRsaPair(cwd, 'short', 2048);
    writePrivate(join(cwd, 'text.pem'), 'sentinel');
    const report = await doctor([], {
      cwd,
      env: {
        KEY_ID: 'rsa:short-public.pem',
        BACKUP_KEYS: 'rsa:text.pem,rsa:none.pem',
        DECRYPT_KEYS: `rsa:${rsa.publicFile}`,
      },
    });
    assert.equal(report.status, 4);
    assert.deepEqual(report.wrong, [
      'routes KEY_ID: KeyUnusable',
      'routes encrypt with all keys: KeyUnusable',
      'routes backup key 1 alone: KeyUnusable',
      'routes backup key 2 alone: KeyNotFound',
      'routes old key 1: KeyUnusable',
    ]);
    assert.match(report.row('routes old key 1').detail, /is a public key/);
    assert.doesNotMatch(JSON.stringify(report), /sentinel/);
  });

  const passphrase = 'sentinel of a passphrase';
  const lock = (file: string): void => {
    const pem = rsa.privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase,
    });
    writePrivate(file, pem);
  };

  test('a passphrase comes from its file', async () => {
    const cwd = temporaryFolder();
    lock(join(cwd, 'locked.pem'));
    writePrivate(join(cwd, 'passphrase'), `${passphrase}\n`);
    writePrivate(join(cwd, 'wrong'), 'sentinel\n');
    const withFile = (RSA_PASSPHRASE_FILE: string | undefined): Promise<Report> =>
      doctor([], {
        cwd,
        env: {
          KEY_ID: `rsa:${rsa.publicFile}`,
          DECRYPT_KEYS: 'rsa:locked.pem',
          RSA_PASSPHRASE_FILE,
        },
      });
    const [right, wrong, none] = await Promise.all(
      ['passphrase', 'wrong', undefined].map(withFile),
    );
    assert.deepEqual([right?.status, right?.skipped], [0, []]);
    assert.match(
      right?.row('routes KEY_ID').detail ?? '',
      /^rsa:locked\.pem, the private key for .*, opened it/,
    );
    assert.deepEqual([wrong?.status, wrong?.wrong], [4, ['routes old key 1: KeyUnusable']]);
    assert.deepEqual([none?.status, none?.wrong], [2, ['routes old key 1: Usage']]);
    assert.doesNotMatch(JSON.stringify([right, wrong, none]), /sentinel/);
  });

  test('or is asked for, once; Ctrl-C there ends the run', async () => {
    const cwd = temporaryFolder();
    lock(join(cwd, 'locked.pem'));
    const options = {
      cwd,
      env: { KEY_ID: `rsa:${rsa.publicFile}`, DECRYPT_KEYS: 'rsa:locked.pem' },
    };
    const terminal = startOnTerminal('kms-doctor', [], options);
    await terminal.waitFor('Passphrase for locked.pem: ');
    terminal.write(`${passphrase}\r`);
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    assert.equal(terminal.output().split('Passphrase for').length, 2);
    assert.match(await terminal.screen(), /nothing is wrong/);
    assert.doesNotMatch(terminal.output(), /sentinel/);

    const cancelled = startOnTerminal('kms-doctor', [], options);
    await cancelled.waitFor('Passphrase for locked.pem: ');
    cancelled.write('\x03');
    assert.deepEqual(await cancelled.exit(), { status: 130, signal: null });
  });
});

describe('the table', () => {
  const lines = (text: string): string[] => text.split('\n');

  test('in a pipe: one line for each check, with hints below', async () => {
    const { status, stdout } = await run('kms-doctor', [], {
      cwd: folder,
      env: {
        KEY_ID: 'rsa:other-private.pem',
        BACKUP_KEYS: 'rsa:backup-public.pem,local:none.key',
        DECRYPT_KEYS: 'local:gone.key,local:./gone.key',
      },
    });
    assert.equal(status, 4);
    assert.deepEqual(lines(stdout.toString().replace(/\(\d+ ms\)/g, '(5 ms)')), [
      'Settings',
      '  ok       settings file                           none (no .env in this folder)',
      '  ok       KEY_ID                                  rsa:other-private.pem, from the environment',
      '  ok       BACKUP_KEYS                             rsa:backup-public.pem, local:none.key, from the environment',
      '  ok       DECRYPT_KEYS                            local:gone.key, local:./gone.key, from the environment',
      '  ok       USERS                                   not set: alice and bob',
      '',
      'Files',
      '  ok       RSA key                                 other-private.pem (mode 0600)',
      '  advice   RSA public key                          backup-public.pem (mode 0644) is not pinned',
      `                                                   hint: To notice another key in its place, name it rsa:backup-public.pem#${rsa.fingerprint}`,
      '',
      'Routes',
      `  ok       KEY_ID                                  rsa:other-private.pem opened it (${otherRsa.fingerprint}) (5 ms)`,
      '  skipped  backup key 1 alone                      rsa:backup-public.pem can encrypt; the private key that decrypts is not here.',
      '  advice   backup key 2 alone                      There is no local key none.key yet. (5 ms)',
      '                                                   hint: kms-encrypt creates it with the first message. If there was one, restore it: its messages need it.',
      '  wrong    old key 1                               There is no local key gone.key. (5 ms)',
      '                                                   hint: A message from another machine needs the key file from that machine: --key local:FILE.',
      '  wrong    old key 2                               There is no local key ./gone.key. (5 ms)',
      '                                                   hint: A message from another machine needs the key file from that machine: --key local:FILE.',
      '',
      '12 checks, 2 wrong, 2 with advice, 1 skipped.',
      '',
    ]);
  });

  for (const columns of [40, 80, 200]) {
    test(`on a terminal of ${columns} columns no row is too long`, async () => {
      const terminal = startOnTerminal('kms-doctor', [], {
        columns,
        cwd: folder,
        env: aws({
          KEY_ID: key.keyArn,
          FALLBACK_REGIONS: 'eu-west-1',
          BACKUP_KEYS: `${backup.keyArn},rsa:backup-public.pem`,
        }),
      });
      assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
      const written = lines(terminal.output().replaceAll('\r', ''));
      const report = written
        .slice(written.indexOf('Settings'))
        .filter((line) => !line.startsWith('kms-doctor: ')); // notices, on standard error
      for (const line of report) assert.ok(line.length < columns, line);
      assert.ok(report.includes('Routes'));
      assert.match(terminal.output(), /^ {2}ok {7}KEY_ID in eu-west-1/m);
      assert.match(terminal.output(), /^ {2}skipped {2}backup key 2 alone/m);
      // Nothing is cut off: everything that was broken into rows is there.
      assert.ok(report.join('').replace(/\s+/g, '').includes(key.keyArn));
    });
  }

  test('at 40 columns the detail goes below the name', async () => {
    const terminal = startOnTerminal('kms-doctor', ['--key', 'local:none.key'], { columns: 40 });
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    const screen = lines(await terminal.screen()).slice(-9);
    assert.deepEqual(
      screen.join('\n').replace(/\(\d+ ms\)/, '(5 ms)'),
      `Routes
  advice   --key
             There is no local key
             none.key yet. (5 ms)
             hint: kms-encrypt creates
             it with the first message.
             If there was one, restore
             it: its messages need it.

5 checks, nothing is wrong, 2 with
advice.`
        .split('\n')
        .slice(-9)
        .join('\n'),
    );
  });

  test('on a terminal with no key set, the local key is used', async () => {
    const home = temporaryFolder();
    const without = startOnTerminal('kms-doctor', ['--json'], { home, columns: 2000 });
    assert.deepEqual(await without.exit(), { status: 0, signal: null });
    assert.match(without.output(), /There is no local key .*local\.key yet/);
    assert.deepEqual(
      readdirSync(home).filter((file) => file !== 'cache'),
      [],
    );

    await run('kms-encrypt', ['-u', 'alice', '-k', 'local'], { home, stdin: 'x' });
    const ready = startOnTerminal('kms-doctor', [], { home });
    assert.deepEqual(await ready.exit(), { status: 0, signal: null });
    assert.match(ready.output(), /not set: in a terminal, a local key/);
    assert.match(ready.output(), /^ {2}ok {7}local key/m);
  });

  test('a name that could control the terminal is made visible', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'a\x1b[31mb'), '');
    const terminal = startOnTerminal('kms-doctor', ['--env-file', 'a\x1b[31mb'], { cwd });
    await terminal.exit();
    assert.doesNotMatch(terminal.output(), /\x1b\[31m/);
    assert.match(terminal.output(), /ok +settings file +a\\x1b\[31mb/);
  });

  test('a reader that has gone ends it silently', async () => {
    const { stdout, stderr } = await run(
      'sh',
      [
        '-c',
        '"$@" | true',
        'sh',
        process.execPath,
        '--',
        join(import.meta.dirname, '../../dist/kms-doctor.js'),
      ],
      {
        env: { KEY_ID: 'local' },
      },
    );
    assert.deepEqual([stdout.toString(), stderr], ['', '']);
  });
});
