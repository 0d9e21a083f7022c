/**
 * Every way in which a call to AWS KMS can fail: with moto's own response if it can give it,
 * otherwise with a proxy in front of it. Most calls are made in this process, where the real SDK
 * meets a real response; the last part uses a few to show that the commands say the same.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type ErrorCode, KmsPocError } from '../../src/errors.ts';
import { type KmsCall, mapKmsError } from '../../src/kms/errors.ts';
import { connectKms, type Kms } from '../../src/kms/kms.ts';
import { type Environment, run, temporaryFolder } from '../support/command.ts';
import { checkLine, failureOf } from '../support/failure.ts';
import {
  awsAnswer,
  awsError,
  type Fault,
  type FaultProxy,
  htmlPage,
  refusingEndpoint,
  startFaultProxy,
  unknownHostEndpoint,
} from '../support/fault-proxy.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { noEvents } from '../support/key-sources.ts';
import { createPatience } from '../../src/kms/patience.ts';

const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'moto-takes-any' };
const message = Buffer.from('this is a secret');
// A blob that moto never sees: a proxy answers instead.
const anyBlob = Buffer.alloc(90, 1).toString('base64');

let moto: Moto;
let proxy: FaultProxy;
before(async () => {
  // What the SDK reads from here, in this process.
  process.env.AWS_MAX_ATTEMPTS = '1';
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  moto = await startMoto();
  await moto.createKey({ alias: 'theKey' });
  await moto.createKey({ alias: 'another' });
  proxy = await startFaultProxy({ target: moto.endpoint });
});
beforeEach(() => {
  proxy.reset();
});
after(async () => {
  await proxy.stop();
  await moto.stop();
});

function connectTo(endpoint: string): Promise<Kms> {
  const region = 'eu-central-1';
  return connectKms({
    region,
    endpoint,
    credentials,
    profile: undefined,
    environment: {},
    events: noEvents,
    patience: createPatience(),
  });
}

async function errorOf(pending: Promise<unknown>): Promise<KmsPocError> {
  const error = await pending.then(
    () => assert.fail('it was to fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KmsPocError, String(error));
  checkLine(error.message);
  checkLine(error.hint ?? '');
  return error;
}

const encryptBy = async (endpoint: string): Promise<KmsPocError> =>
  errorOf((await connectTo(endpoint)).encrypt('alias/theKey', 'alice', message));
const decryptBy = async (endpoint: string): Promise<KmsPocError> =>
  errorOf((await connectTo(endpoint)).decrypt('alias/theKey', 'alice', anyBlob));

interface Expected {
  code: ErrorCode;
  status: number;
  /** The message up to the service's name for it; one of two, if only one command can get it. */
  encrypting?: string;
  decrypting?: string;
  hint: RegExp;
}

const accessDenied: Expected = {
  code: 'AccessDenied',
  status: 4,
  encrypting: 'These credentials are not allowed to encrypt with alias/theKey for alice',
  decrypting: 'These credentials are not allowed to decrypt with alias/theKey for alice',
  hint: /kms:(?:En|De)crypt with this user.* another account/,
};
const both = (says: string): Pick<Expected, 'encrypting' | 'decrypting'> => ({
  encrypting: says,
  decrypting: says,
});
const unusable = { code: 'KeyUnusable', status: 4 } as const;
const expired: Expected = {
  code: 'Credentials',
  status: 4,
  ...both('The AWS credentials have expired'),
  hint: /Sign in again/,
};
const unknownKeyId: Expected = {
  code: 'Credentials',
  status: 4,
  ...both('AWS does not recognize this access key'),
  hint: /ENCRYPTOR_ or DECRYPTOR_AWS_ACCESS_KEY_ID/,
};
const badSignature: Expected = {
  code: 'Credentials',
  status: 4,
  ...both('AWS rejected the signature of the request'),
  hint: /secret access key.*clock/,
};
const regionClosed: Expected = {
  code: 'Credentials',
  status: 4,
  ...both("This AWS account can't use KMS in eu-central-1"),
  hint: /Enable the Region/,
};
const notAKey: Expected = {
  code: 'Usage',
  status: 2,
  ...both('AWS KMS does not accept alias/theKey as a key'),
  hint: /alias\/NAME, a key id, or an ARN/,
};
const throttled: Expected = {
  code: 'Throttled',
  status: 5,
  ...both('AWS KMS in eu-central-1 is throttling requests'),
  hint: /^Wait a moment/,
};
const failed: Expected = {
  code: 'Unavailable',
  status: 5,
  ...both('AWS KMS in eu-central-1 failed'),
  hint: /^Try again/,
};

const serviceErrors: Record<string, Expected> = {
  InvalidCiphertextException: {
    code: 'CannotDecrypt',
    status: 3,
    decrypting: "This message can't be decrypted for alice",
    hint: /another user.*incomplete.*changed/,
  },
  IncorrectKeyException: {
    code: 'WrongKey',
    status: 3,
    decrypting: 'This message was encrypted with a key other than alias/theKey',
    hint: /--key, or DECRYPT_KEYS/,
  },
  NotFoundException: {
    code: 'KeyNotFound',
    status: 4,
    ...both('There is no key alias/theKey in eu-central-1'),
    hint: /KEY_ID or --key.*Region.*account/,
  },
  DisabledException: {
    ...unusable,
    ...both('The key alias/theKey is disabled'),
    hint: /aws kms enable-key --region eu-central-1 --key-id alias\/theKey$/,
  },
  KMSInvalidStateException: {
    ...unusable,
    ...both(
      "The key alias/theKey can't be used: it is scheduled for deletion, or has no key material",
    ),
    hint: /aws kms cancel-key-deletion --region eu-central-1 --key-id alias\/theKey$/,
  },
  InvalidKeyUsageException: {
    ...unusable,
    encrypting: "The key alias/theKey can't encrypt messages",
    decrypting: "The key alias/theKey can't decrypt messages",
    hint: /ENCRYPT_DECRYPT/,
  },
  UnsupportedOperationException: {
    ...unusable,
    encrypting: "The key alias/theKey can't encrypt messages",
    hint: /ENCRYPT_DECRYPT/,
  },
  AccessDeniedException: accessDenied,
  AccessDenied: accessDenied,
  UnauthorizedOperation: accessDenied,
  NotAuthorized: accessDenied,
  ExpiredTokenException: expired,
  ExpiredToken: expired,
  RequestExpired: expired,
  UnrecognizedClientException: unknownKeyId,
  InvalidClientTokenId: unknownKeyId,
  InvalidAccessKeyId: unknownKeyId,
  InvalidSignatureException: badSignature,
  SignatureDoesNotMatch: badSignature,
  IncompleteSignature: badSignature,
  IncompleteSignatureException: badSignature,
  MissingAuthenticationToken: badSignature,
  MissingAuthenticationTokenException: badSignature,
  AuthFailure: badSignature,
  OptInRequired: regionClosed,
  SubscriptionRequiredException: regionClosed,
  ValidationException: notAKey,
  InvalidArnException: notAKey,
  ValidationError: notAKey,
  ThrottlingException: throttled,
  Throttling: throttled,
  ThrottledException: throttled,
  RequestThrottled: throttled,
  RequestLimitExceeded: throttled,
  LimitExceededException: throttled,
  TooManyRequestsException: throttled,
  BandwidthLimitExceeded: throttled,
  SlowDown: throttled,
  KMSInternalException: failed,
  DependencyTimeoutException: failed,
  KeyUnavailableException: failed,
  InternalFailure: failed,
  InternalServerError: failed,
  ServiceUnavailable: failed,
  ServiceUnavailableException: failed,
};

describe('errors that KMS names', () => {
  for (const [name, expected] of Object.entries(serviceErrors)) {
    test(name, async () => {
      // With and without a text from the service: the message doesn't depend on it.
      for (const text of ['', 'A text of the service, with 123456789012 in it']) {
        proxy.reset();
        proxy.fault(awsError(name, expected.status === 5 ? 500 : 400, text));
        for (const [says, call] of [
          [expected.encrypting, encryptBy],
          [expected.decrypting, decryptBy],
        ] as const) {
          if (says === undefined) continue;
          const error = await call(proxy.endpoint);
          assert.deepEqual(
            [error.code, error.status, error.message],
            [expected.code, expected.status, `${says} (${name}).`],
          );
          assert.match(error.hint ?? '', expected.hint);
        }
      }
    });
  }

  test('AccessDenied says what else it may mean, including a changed message when decrypting', async () => {
    proxy.fault(awsError('AccessDeniedException'));
    const [encrypting, decrypting] = await Promise.all([
      encryptBy(proxy.endpoint),
      decryptBy(proxy.endpoint),
    ]);
    assert.match(encrypting.hint ?? '', /kms:Encrypt.*another account/);
    assert.doesNotMatch(encrypting.hint ?? '', /changed/);
    assert.match(decrypting.hint ?? '', /kms:Decrypt.*another account.*message was changed/);
  });

  test('an error without a row is still named', async () => {
    proxy.fault(awsError('NewException', 400));
    const refused = await encryptBy(proxy.endpoint);
    assert.deepEqual([refused.code, refused.status], ['Unexpected', 1]);
    assert.match(refused.message, /eu-central-1.*\(NewException\)\.$/);
    proxy.reset();
    proxy.fault(awsError('NewServerException', 500));
    const failing = await encryptBy(proxy.endpoint);
    assert.deepEqual([failing.code, failing.status], ['Unavailable', 5]);
    assert.match(failing.message, /eu-central-1.*\(NewServerException\)\.$/);
  });
});

describe('what moto answers by itself', () => {
  const failsAt = async (act: (kms: Kms) => Promise<unknown>): Promise<KmsPocError> =>
    errorOf(act(await connectTo(moto.endpoint)));

  test('no such alias, no such key id', async () => {
    for (const keyId of ['alias/none', '1234abcd-12ab-34cd-56ef-1234567890ab']) {
      const error = await failsAt((kms) => kms.encrypt(keyId, 'alice', message));
      assert.deepEqual([error.code, error.status], ['KeyNotFound', 4]);
      assert.equal(error.message, `There is no key ${keyId} in eu-central-1 (NotFoundException).`);
    }
  });

  test('another user', async () => {
    const error = await failsAt(async (kms) => {
      const { ciphertextBase64 } = await kms.encrypt('alias/theKey', 'alice', message);
      return kms.decrypt('alias/theKey', 'bob', ciphertextBase64);
    });
    assert.deepEqual([error.code, error.status], ['CannotDecrypt', 3]);
    assert.match(error.message, /for bob \(InvalidCiphertextException\)\.$/);
  });

  test('another key, which moto reports as a missing permission', async () => {
    const error = await failsAt(async (kms) => {
      const { ciphertextBase64 } = await kms.encrypt('alias/theKey', 'alice', message);
      return kms.decrypt('alias/another', 'alice', ciphertextBase64);
    });
    assert.deepEqual([error.code, error.status], ['AccessDenied', 4]);
  });
});

describe('unexpected responses', () => {
  const strange: [string, Fault, RegExp][] = [
    ['an HTML page with 503', htmlPage(503), /\(HTTP 503\)/],
    ['an HTML page with 403', htmlPage(403), /\(HTTP 403\)/],
    ['an HTML page with 200', htmlPage(200), /\(HTTP 200\)/],
    ['500 without a body', { ...htmlPage(500), body: '' } as Fault, /\(HTTP 500\)/],
    ['a redirection', { ...htmlPage(302), body: '' } as Fault, /\(HTTP 302\)/],
    ['half a JSON', { ...htmlPage(200), body: '{"KeyId":"arn:' } as Fault, /\(HTTP 200\)/],
  ];
  for (const [name, fault, says] of strange) {
    test(name, async () => {
      proxy.fault(fault);
      for (const error of [await encryptBy(proxy.endpoint), await decryptBy(proxy.endpoint)]) {
        assert.deepEqual([error.code, error.status], ['Unavailable', 5]);
        assert.match(error.message, /^AWS KMS in eu-central-1 sent an unexpected response/);
        assert.match(error.message, says);
        assert.match(error.hint ?? '', /Something other than KMS may have answered/);
      }
    });
  }

  const keyArn = 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
  for (const [name, answer, says] of [
    ['nothing', {}, /returned no key\./],
    ['no bytes', { KeyId: keyArn }, /returned no (?:cipher|plain)text\./],
    [
      'empty bytes',
      { CiphertextBlob: '', Plaintext: '', KeyId: keyArn },
      /returned no (?:cipher|plain)text\./,
    ],
    ['no key', { CiphertextBlob: anyBlob, Plaintext: anyBlob }, /returned no key\./],
  ] as const) {
    test(`a success with ${name} in it`, async () => {
      proxy.fault(awsAnswer(answer));
      for (const error of [await encryptBy(proxy.endpoint), await decryptBy(proxy.endpoint)]) {
        assert.deepEqual([error.code, error.status], ['Unavailable', 5]);
        assert.match(error.message, says);
      }
    });
  }
});

describe('the connection to KMS', () => {
  const wayErrors: [string, () => Promise<KmsPocError>, RegExp, RegExp][] = [
    [
      'refused',
      () => encryptBy(refusingEndpoint),
      /^AWS KMS in eu-central-1 refused the connection \(ECONNREFUSED\)\.$/,
      /AWS_ENDPOINT_URL/,
    ],
    [
      'refused by each address of a name',
      () => encryptBy('http://localhost:1'),
      /refused the connection \(ECONNREFUSED\)\.$/,
      /AWS_ENDPOINT_URL/,
    ],
    [
      'no such name',
      () => encryptBy(unknownHostEndpoint),
      // EAI_AGAIN on a machine that reaches no name server
      /^The host name of AWS KMS in eu-central-1 can't be resolved \((?:ENOTFOUND|EAI_AGAIN)\)\.$/,
      /the Region, and AWS_ENDPOINT_URL/,
    ],
  ];
  for (const [name, act, says, hint] of wayErrors) {
    test(name, async () => {
      const error = await act();
      assert.deepEqual([error.code, error.status], ['Unavailable', 5]);
      assert.match(error.message, says);
      assert.match(error.hint ?? '', hint);
    });
  }

  for (const [name, fault] of [
    ['reset at the request', { kind: 'reset', when: 'at-request' }],
    ['reset in the answer', { kind: 'reset', when: 'in-answer' }],
    ['cut in the answer', { kind: 'cut' }],
  ] as const) {
    test(name, async () => {
      proxy.fault(fault);
      for (const error of [await encryptBy(proxy.endpoint), await decryptBy(proxy.endpoint)]) {
        assert.deepEqual([error.code, error.status], ['Unavailable', 5]);
        assert.equal(
          error.message,
          'The connection to AWS KMS in eu-central-1 was lost (ECONNRESET).',
        );
        assert.match(error.hint ?? '', /^Try again/);
      }
    });
  }

  test('no answer in 5 seconds', async () => {
    proxy.fault({ kind: 'silence' });
    const error = await decryptBy(proxy.endpoint);
    assert.deepEqual([error.code, error.status], ['Unavailable', 5]);
    assert.equal(error.message, 'AWS KMS in eu-central-1 did not answer in time (ETIMEDOUT).');
    assert.match(error.hint ?? '', /^Check the network/);
    assert.equal(proxy.count('Decrypt'), 1);
  });

  test('a certificate that nobody trusts, and no TLS where it is expected', async () => {
    const secure = await startFaultProxy({ tls: true });
    for (const endpoint of [secure.endpoint, proxy.endpoint.replace('http:', 'https:')]) {
      const error = await encryptBy(endpoint);
      assert.deepEqual([error.code, error.status], ['Unavailable', 5]);
      assert.match(
        error.message,
        /is not secure, so nothing was sent \((?:DEPTH_ZERO_SELF_SIGNED_CERT|EPROTO|ERR_SSL_\w+)\)\.$/,
      );
      assert.match(error.hint ?? '', /NODE_EXTRA_CA_CERTS/);
    }
    assert.equal(secure.count(), 0);
    await secure.stop();
  });

  test('codes that no test machine can cause', () => {
    const call: KmsCall = {
      operation: 'decrypt',
      keyId: 'alias/theKey',
      region: 'eu-central-1',
      user: 'alice',
    };
    const codes = {
      'did not answer in time': ['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ESOCKETTIMEDOUT'],
      'was lost': ['EPIPE', 'ECONNABORTED'],
      "can't be resolved": ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA'],
      'is not secure': ['CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'EPROTO'],
    };
    for (const [says, names] of Object.entries(codes)) {
      for (const code of names) {
        const error = mapKmsError(Object.assign(new Error('internal'), { code }), call);
        assert.ok(error instanceof KmsPocError);
        assert.equal(error.status, 5);
        assert.match(error.message, new RegExp(`${says}.*\\(${code}\\)\\.$`));
      }
    }
  });

  test('whatever else is thrown on the way is no word on a message, and is not shown', () => {
    const call: KmsCall = { operation: 'look up', keyId: 'k', region: 'r', user: undefined };
    for (const [thrown, name] of [
      [Object.assign(new Error('secret'), { code: 'HPE_INVALID_CONTENT_LENGTH' }), 'HPE_\\w+'],
      [new TypeError('secret'), 'TypeError'],
      ['secret', 'Error'],
    ] as const) {
      const { code, message } = mapKmsError(thrown, call);
      assert.equal(code, 'Unavailable');
      assert.match(message, new RegExp(`^AWS KMS in r could not be asked \\(${name}\\)\\.$`));
    }
  });
});

describe('the commands say it', () => {
  const args = ['-u', 'alice', '-k', 'alias/theKey'];
  const atProxy = (more: Environment = {}): Environment => ({
    ...moto.env,
    AWS_ENDPOINT_URL: proxy.endpoint,
    ...more,
  });

  test('in two lines for people', async () => {
    proxy.fault(awsError('DisabledException', 400, 'internal text of the service'));
    const { status, stdout, stderr } = await run('kms-encrypt', args, {
      stdin: message,
      env: atProxy(),
    });
    assert.deepEqual([status, stdout.length], [4, 0]);
    assert.deepEqual(stderr.split('\n'), [
      'kms-encrypt: messages are sent to 127.0.0.1, which is not AWS KMS (set by AWS_ENDPOINT_URL).',
      'kms-encrypt: The key alias/theKey is disabled (DisabledException).',
      'hint: An administrator can enable it: aws kms enable-key --region eu-central-1 --key-id alias/theKey',
      '',
    ]);
  });

  const spawned: [string, Fault, 'kms-encrypt' | 'kms-decrypt', number, string, RegExp][] = [
    [
      'expired',
      awsError('ExpiredTokenException'),
      'kms-decrypt',
      4,
      'Credentials',
      /\(ExpiredTokenException\)/,
    ],
    [
      'another user',
      awsError('InvalidCiphertextException'),
      'kms-decrypt',
      3,
      'CannotDecrypt',
      /\(InvalidCiphertextException\)/,
    ],
    ['cut', { kind: 'cut' }, 'kms-encrypt', 5, 'Unavailable', /was lost \(ECONNRESET\)/],
    ['an HTML page', htmlPage(503), 'kms-decrypt', 5, 'Unavailable', /\(HTTP 503\)/],
  ];
  for (const [name, fault, command, status, code, says] of spawned) {
    test(name, async () => {
      proxy.fault(fault);
      const env = atProxy({ AWS_MAX_ATTEMPTS: '1' });
      const failure = await failureOf(command, args, { stdin: anyBlob, env });
      assert.deepEqual([failure.status, failure.code], [status, code]);
      assert.match(failure.message, says);
      assert.notEqual(failure.hint, undefined);
    });
  }

  test('three attempts, and no more', async () => {
    proxy.fault(awsError('ThrottlingException', 400, 'Rate exceeded'));
    const failure = await failureOf('kms-encrypt', args, { stdin: message, env: atProxy() });
    assert.deepEqual([failure.status, failure.code], [5, 'Throttled']);
    assert.equal(proxy.count('Encrypt'), 3);
  });

  test('one failure is not the end', async () => {
    proxy.fault(awsError('KMSInternalException', 500), { times: 1 });
    const { status, stdout } = await run('kms-encrypt', args, { stdin: message, env: atProxy() });
    assert.equal(status, 0);
    assert.match(stdout.toString(), /^[A-Za-z0-9+/]+=*\n$/);
    assert.equal(proxy.count('Encrypt'), 2);
  });
});

describe('credentials, Region and profile, before any request', () => {
  const args = ['-u', 'alice', '-k', 'alias/theKey'];
  const withoutCredentials = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  const configured = (config: string): string => {
    const file = join(temporaryFolder(), 'config');
    writeFileSync(file, config);
    return file;
  };
  const cases: {
    name: string;
    env?: () => Environment;
    args?: string[];
    status: number;
    code: ErrorCode;
    says: RegExp;
    hint: RegExp;
  }[] = [
    {
      name: 'no credentials',
      status: 4,
      code: 'Credentials',
      says: /^Could not load AWS credentials from the environment \(CredentialsProviderError\)\.$/,
      hint: /aws sso login.*settings file.*--key local/,
    },
    {
      name: 'a profile whose program gives none',
      env: () => ({
        AWS_PROFILE: 'failing',
        AWS_CONFIG_FILE: configured('[profile failing]\ncredential_process = false\n'),
      }),
      status: 4,
      code: 'Credentials',
      says: /^The credential_process of the AWS profile failing failed with status 1 \(CredentialsProviderError\)\.$/,
      hint: /aws configure get credential_process --profile failing/,
    },
    {
      name: 'a profile of IAM Identity Center, not signed in',
      args: ['--profile', 'work'],
      env: () => ({
        AWS_CONFIG_FILE: configured(
          '[profile work]\nsso_session = s\nsso_account_id = 123456789012\nsso_role_name = r\n' +
            '[sso-session s]\nsso_start_url = https://example.invalid\nsso_region = eu-central-1\n',
        ),
      }),
      status: 4,
      code: 'Credentials',
      says: /^The AWS profile work is not signed in, or its session has expired \((?:Credentials|Token)ProviderError\)\.$/,
      hint: /aws sso login --profile work/,
    },
    {
      name: 'a web identity without its token file',
      env: () => ({
        AWS_WEB_IDENTITY_TOKEN_FILE: join(temporaryFolder(), 'none'),
        AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/r',
      }),
      status: 4,
      code: 'Credentials',
      says: /^Could not load AWS credentials from the environment or a web identity token \(ENOENT\)\.$/,
      hint: /aws sso login/,
    },
    {
      name: 'an access key with a line break in it',
      env: () => ({ AWS_ACCESS_KEY_ID: 'AKIA\n', AWS_SECRET_ACCESS_KEY: 'any' }),
      status: 4,
      code: 'Credentials',
      says: /character/,
      hint: /access key id/,
    },
    {
      name: 'no Region',
      env: () => ({ AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined }),
      status: 2,
      code: 'Usage',
      says: /^No AWS Region is set\.$/,
      hint: /AWS_REGION.*--region.*ARN/,
    },
    {
      name: 'a Region that is none',
      args: ['--region', 'Frankfurt am Main'],
      status: 2,
      code: 'Usage',
      says: /^Frankfurt am Main is not an AWS Region\.$/,
      hint: /eu-central-1/,
    },
    {
      name: 'an unknown profile',
      args: ['--profile', 'nobody'],
      status: 2,
      code: 'Usage',
      says: /^There is no AWS profile nobody\.$/,
      hint: /aws configure list-profiles/,
    },
    {
      name: 'an unknown profile in the environment',
      env: () => ({ AWS_PROFILE: 'nobody' }),
      status: 2,
      code: 'Usage',
      says: /^There is no AWS profile nobody\.$/,
      hint: /aws configure list-profiles/,
    },
    {
      name: 'an endpoint in the AWS configuration that is none',
      env: () => ({
        AWS_ENDPOINT_URL: undefined,
        AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
        AWS_SECRET_ACCESS_KEY: 'any',
        AWS_CONFIG_FILE: configured('[default]\nendpoint_url = not an address\n'),
      }),
      status: 2,
      code: 'Usage',
      says: /^The AWS KMS endpoint is not a valid URL \(ERR_INVALID_URL\)\.$/,
      hint: /endpoint_url in the AWS configuration file/,
    },
  ];
  for (const { name, env, args: more = [], status, code, says, hint } of cases) {
    test(name, async () => {
      const failure = await failureOf('kms-encrypt', [...args, ...more], {
        stdin: message,
        env: {
          ...moto.env,
          AWS_ENDPOINT_URL: proxy.endpoint,
          ...withoutCredentials,
          ...env?.(),
        },
      });
      assert.match(failure.message, says);
      assert.deepEqual([failure.status, failure.code], [status, code]);
      assert.match(failure.hint ?? '', hint);
      assert.equal(proxy.count(), 0);
    });
  }
});
