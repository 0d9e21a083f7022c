/**
 * When another Region is tried, and when not: with KMS as it answers, or doesn't, to the real SDK.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { KmsPocError } from '../../src/errors.ts';
import { connectKms, type Kms } from '../../src/kms/kms.ts';
import { withFallback } from '../../src/kms/fallback.ts';
import {
  awsError,
  type Fault,
  type FaultProxy,
  htmlPage,
  refusingEndpoint,
  startFaultProxy,
  unknownHostEndpoint,
} from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';
import { noEvents } from '../support/key-sources.ts';
import { createPatience } from '../../src/kms/patience.ts';

const message = Buffer.from('this is a secret');

let moto: Moto;
let proxy: FaultProxy;
let key: TestKey;
before(async () => {
  process.env.AWS_MAX_ATTEMPTS = '1';
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  moto = await startMoto();
  key = await moto.createKey({ replicaRegion: 'eu-west-1' });
  proxy = await startFaultProxy({ target: moto.endpoint });
});
beforeEach(() => {
  proxy.reset();
});
after(async () => {
  await proxy.stop();
  await moto.stop();
});

const connectTo = (region: string, endpoint: string): Promise<Kms> =>
  connectKms({
    region,
    endpoint,
    credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'moto-takes-any' },
    profile: undefined,
    environment: {},
    events: noEvents,
    patience: createPatience(),
  });

/** KMS in eu-central-1, with eu-west-1 as its fallback, and a list of what was announced. */
async function twoRegions(
  firstEndpoint = proxy.endpoint,
  secondEndpoint = proxy.endpoint,
): Promise<{ kms: Kms; announced: [string, string][] }> {
  const announced: [string, string][] = [];
  const kms = withFallback(
    await connectTo('eu-central-1', firstEndpoint),
    ['eu-west-1'],
    (region) => connectTo(region, secondEndpoint),
    {
      fallback: ({ message: why }, region) => {
        announced.push([why, region]);
      },
    },
  );
  return { kms, announced };
}

/** Every call that exists, each in its own setup. */
const calls: Record<string, (kms: Kms) => Promise<unknown>> = {
  encrypt: (kms) => kms.encrypt(key.keyArn, 'alice', message),
  decrypt: async (kms) => kms.decrypt(key.keyArn, 'alice', await blob()),
  'look up': (kms) => kms.resolveKey(key.keyId),
  'make a data key': (kms) =>
    kms.dataKeys.generateDataKey({ KeyId: key.keyArn, NumberOfBytes: 32 }),
  'wrap a data key': (kms) => kms.dataKeys.encrypt({ KeyId: key.keyArn, Plaintext: message }),
  'unwrap a data key': async (kms) =>
    kms.dataKeys.decrypt({
      KeyId: key.keyArn,
      CiphertextBlob: Buffer.from(await blob(), 'base64'),
      EncryptionContext: { user: 'alice' },
    }),
};

async function blob(): Promise<string> {
  const kms = await connectTo('eu-central-1', moto.endpoint);
  return (await kms.encrypt(key.keyArn, 'alice', message)).ciphertextBase64;
}

const errorOf = async (pending: Promise<unknown>): Promise<KmsPocError> => {
  const error = await pending.then(
    () => assert.fail('it was to fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof KmsPocError, String(error));
  return error;
};

describe('each call continues in the next Region', () => {
  for (const [name, call] of Object.entries(calls)) {
    test(`to ${name}`, async () => {
      for (const endpoint of [refusingEndpoint, unknownHostEndpoint]) {
        const { kms, announced } = await twoRegions(endpoint);
        await call(kms);
        assert.deepEqual(
          announced.map(([, region]) => region),
          ['eu-west-1'],
        );
        assert.match(announced[0]?.[0] ?? '', /in eu-central-1 (?:refused|can't be resolved)/);
      }
    });
  }

  test('where the Encryption SDK still gets the key that it asked for', async () => {
    const { kms } = await twoRegions(refusingEndpoint);
    const made = await kms.dataKeys.generateDataKey({ KeyId: key.keyArn, NumberOfBytes: 32 });
    assert.equal(made.KeyId, key.keyArn);
    const { CiphertextBlob, KeyId } = await kms.dataKeys.encrypt({
      KeyId: key.keyArn,
      Plaintext: message,
    });
    assert.equal(KeyId, key.keyArn);
    const opened = await kms.dataKeys.decrypt({ KeyId, CiphertextBlob });
    assert.equal(opened.KeyId, key.keyArn);
  });
});

describe('the next Region is tried for', () => {
  const outages: [string, Fault][] = [
    ['an internal error', awsError('KMSInternalException', 500)],
    ['a dependency that timed out', awsError('DependencyTimeoutException', 503)],
    ['an unavailable key', awsError('KeyUnavailableException', 500)],
    ['an error 5xx with a name that nobody knows', awsError('NewException', 500)],
    ["a load balancer's page", htmlPage(503)],
    ['a reset connection', { kind: 'reset', when: 'at-request' }],
    ['half of an answer', { kind: 'cut' }],
  ];
  for (const [name, fault] of outages) {
    test(name, async () => {
      proxy.fault(fault, { region: 'eu-central-1' });
      const { kms, announced } = await twoRegions();
      await kms.encrypt(key.keyArn, 'alice', message);
      assert.equal(announced.length, 1);
    });
  }
});

describe('the next Region is not tried for', () => {
  const answers = [
    'AccessDeniedException',
    'InvalidCiphertextException',
    'IncorrectKeyException',
    'NotFoundException',
    'DisabledException',
    'KMSInvalidStateException',
    'InvalidKeyUsageException',
    'ExpiredTokenException',
    'UnrecognizedClientException',
    'ValidationException',
    // A quota belongs to the caller: what uses it up here would use it up there, too.
    'ThrottlingException',
    'LimitExceededException',
    'SomethingNewException',
  ];
  for (const name of answers) {
    test(name, async () => {
      proxy.fault(awsError(name), { region: 'eu-central-1' });
      const { kms, announced } = await twoRegions();
      for (const call of [calls.encrypt, calls.decrypt, calls['make a data key']]) {
        assert.ok(call);
        const error = await errorOf(call(kms));
        assert.notEqual(error.code, 'Unavailable');
        assert.match(error.message, new RegExp(`\\(${name}\\)`));
      }
      assert.deepEqual([announced, proxy.count(undefined, 'eu-west-1')], [[], 0]);
    });
  }
});

test('calls that fail together move on together, and later ones start there', async () => {
  proxy.fault(awsError('KMSInternalException', 500), { region: 'eu-central-1' });
  const { kms, announced } = await twoRegions();
  const users = ['alice', 'bob', 'carol', 'dave'];
  await Promise.all(users.map((user) => kms.encrypt(key.keyArn, user, message)));
  assert.equal(announced.length, 1);
  assert.equal(proxy.count(undefined, 'eu-central-1'), 4);
  await kms.encrypt(key.keyArn, 'erin', message);
  assert.equal(proxy.count(undefined, 'eu-central-1'), 4);
  assert.equal(proxy.count(undefined, 'eu-west-1'), 5);
});

test('with no Region left, the error names each of them', async () => {
  const { kms } = await twoRegions(refusingEndpoint, unknownHostEndpoint);
  const error = await errorOf(kms.encrypt(key.keyArn, 'alice', message));
  assert.deepEqual([error.code, error.status], ['Unavailable', 5]);
  assert.match(
    error.message,
    /in eu-central-1 refused .* in eu-west-1 can't be resolved \(\w+\)\.$/,
  );
  assert.match(error.hint ?? '', /the Region, and AWS_ENDPOINT_URL/);
});
