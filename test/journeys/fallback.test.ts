/**
 * FALLBACK_REGIONS through the commands: a multi-Region key in three Regions of one moto, and a
 * proxy that switches off a Region for as long as a test needs. Each test has its own proxy.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ReplicateKeyCommand } from '@aws-sdk/client-kms';
import { type Environment, type Finished, run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import {
  awsError,
  type Fault,
  type FaultProxy,
  htmlPage,
  startFaultProxy,
} from '../support/fault-proxy.ts';
import { type Moto, startMoto, type TestKey } from '../support/moto.ts';

const first = 'eu-central-1';
const second = 'eu-west-1';
const third = 'eu-north-1';
const regions = [first, second, third];

const secret = 'this is a secret';
/** Too large for KMS itself, so an Encryption SDK message. */
const large = randomBytes(10_000);

let moto: Moto;
let key: TestKey;
let replicaArn: string;
before(async () => {
  moto = await startMoto();
  key = await moto.createKey({ alias: 'everywhere', replicaRegion: second });
  replicaArn = key.replicaArn ?? '';
  const replicate = { KeyId: key.keyId, ReplicaRegion: third };
  await moto.kms().send(new ReplicateKeyCommand(replicate));
});
after(async () => {
  await moto.stop();
});

interface Setup {
  proxy: FaultProxy;
  env: Environment;
  /** From now on, only this Region is down; without one, all of them work. */
  switchOff: (region: string | undefined, fault?: Fault) => void;
}

const serverError = awsError('KMSInternalException', 500);

async function setup(
  testContext: { after: (end: () => Promise<void>) => void },
  env: Environment = {},
): Promise<Setup> {
  const proxy = await startFaultProxy({ target: moto.endpoint });
  testContext.after(() => proxy.stop());
  return {
    proxy,
    env: {
      ...moto.env,
      AWS_ENDPOINT_URL: proxy.endpoint,
      KEY_ID: key.keyArn,
      FALLBACK_REGIONS: second,
      ...env,
    },
    switchOff: (region, fault = serverError) => {
      proxy.reset();
      if (region !== undefined) proxy.fault(fault, { region });
    },
  };
}

/** What was printed on standard error, without the notice about the test's own endpoint. */
function notices({ stderr }: Finished): string[] {
  const [strange, ...lines] = stderr.trimEnd().split('\n');
  assert.match(strange ?? '', /messages are sent to 127\.0\.0\.1, which is not AWS KMS/);
  return lines;
}

function assertDone(finished: Finished, stdout?: Uint8Array | string): void {
  assert.equal(finished.status, 0, finished.stderr);
  if (stdout !== undefined) assert.ok(finished.stdout.equals(Buffer.from(stdout)));
}

interface Way {
  name: string;
  args: string[];
  plaintext: Uint8Array | string;
}

const ways: Way[] = [
  { name: 'a KMS blob', args: ['-u', 'alice'], plaintext: secret },
  { name: 'an Encryption SDK message', args: ['-u', 'alice'], plaintext: large },
  {
    name: 'a batch',
    args: ['--batch'],
    plaintext: '{"user":"alice","message":"one"}\n{"user":"bob","message":"two"}\n',
  },
];

const outages: [string, Fault, RegExp][] = [
  ['fails', serverError, /in (\S+) failed \(KMSInternalException\)\./],
  [
    'is a page of a load balancer',
    htmlPage(503),
    /in (\S+) sent an unexpected response \(HTTP 503\)\./,
  ],
  [
    'resets connections',
    { kind: 'reset', when: 'at-request' },
    /to AWS KMS in (\S+) was lost \(ECONNRESET\)\./,
  ],
  ['breaks off in its answer', { kind: 'cut' }, /in (\S+) was lost \(ECONNRESET\)\./],
];

for (const { name, args, plaintext } of ways) {
  describe(`${name} of a multi-Region key`, () => {
    for (const [outage, fault, says] of outages) {
      test(`the first Region ${outage}: both sides continue in the second`, async (t) => {
        const { env, proxy, switchOff } = await setup(t);
        const announced = (finished: Finished): void => {
          const [notice, ...others] = notices(finished);
          assert.equal(says.exec(notice ?? '')?.[1], first);
          assert.match(notice ?? '', /\. Continuing in eu-west-1\.$/);
          assert.deepEqual(others, []);
        };
        switchOff(first, fault);
        const encrypted = await run('kms-encrypt', args, { env, stdin: plaintext });
        assertDone(encrypted);
        announced(encrypted);
        assert.ok(proxy.count(undefined, second) > 0);
        const decrypted = await run('kms-decrypt', args, { env, stdin: encrypted.stdout });
        assertDone(decrypted, plaintext);
        announced(decrypted);

        // What the second Region encrypted opens in the first: there is nothing to repair.
        switchOff(second, fault);
        const later = await run('kms-decrypt', args, { env, stdin: encrypted.stdout });
        assertDone(later, plaintext);
        assert.deepEqual(notices(later), []);
        assert.equal(proxy.count(undefined, second), 0);
      });
    }

    test('what the first Region encrypted opens in the second', async (t) => {
      const { env, proxy, switchOff } = await setup(t);
      switchOff(second);
      const encrypted = await run('kms-encrypt', args, { env, stdin: plaintext });
      assertDone(encrypted);
      assert.deepEqual(notices(encrypted), []);
      assert.equal(proxy.count(undefined, second), 0);

      switchOff(first);
      const decrypted = await run('kms-decrypt', args, { env, stdin: encrypted.stdout });
      assertDone(decrypted, plaintext);
      assert.match(notices(decrypted).join('\n'), /Continuing in eu-west-1\.$/);
    });

    test('with both down nothing comes out, and the error names both', async (t) => {
      const { env, switchOff, proxy } = await setup(t);
      const encrypted = await run('kms-encrypt', args, { env, stdin: plaintext });
      assertDone(encrypted);
      switchOff(first);
      proxy.fault(awsError('ServiceUnavailableException', 503), { region: second });
      const out = join(temporaryFolder(), 'out');
      writeFileSync(out, 'as it was');
      for (const [command, stdin] of [
        ['kms-encrypt', plaintext],
        ['kms-decrypt', encrypted.stdout],
      ] as const) {
        const finished = await run(command, [...args, '-o', out], { env, stdin });
        assert.deepEqual([finished.status, finished.stdout.length], [5, 0]);
        assert.match(
          notices(finished).join('\n'),
          /^kms-\w+: AWS KMS in eu-central-1 failed \(KMSInternalException\)\. Continuing in eu-west-1\.\nkms-\w+: AWS KMS in eu-central-1 failed \(KMSInternalException\)\. AWS KMS in eu-west-1 failed \(ServiceUnavailableException\)\.\nhint: \w/,
        );
        assert.equal(readFileSync(out, 'utf8'), 'as it was');
      }
    });
  });
}

test('an error response is no reason to go elsewhere', async (t) => {
  const { env, proxy, switchOff } = await setup(t);
  const { stdout } = await run('kms-encrypt', ['-u', 'alice'], { env, stdin: secret });
  for (const [name, status, code] of [
    ['AccessDeniedException', 4, 'AccessDenied'],
    ['ThrottlingException', 5, 'Throttled'],
  ] as const) {
    switchOff(first, awsError(name));
    for (const [command, stdin] of [
      ['kms-encrypt', secret],
      ['kms-encrypt', large],
      ['kms-decrypt', stdout],
    ] as const) {
      const failure = await failureOf(command, ['-u', 'alice'], { env, stdin });
      assert.deepEqual([failure.status, failure.code, failure.notices.length], [status, code, 1]);
    }
    assert.equal(proxy.count(undefined, second), 0, name);
  }
  // Another user, which moto reports by itself.
  switchOff(undefined);
  const wrongUser = await failureOf('kms-decrypt', ['-u', 'bob'], { env, stdin: stdout });
  assert.deepEqual([wrongUser.status, wrongUser.code], [3, 'CannotDecrypt']);
  assert.equal(proxy.count(undefined, second), 0);
});

test('the response of the second Region counts', async (t) => {
  const { env, proxy, switchOff } = await setup(t, { FALLBACK_REGIONS: `${second},${third}` });
  switchOff(first);
  proxy.fault(awsError('AccessDeniedException'), { region: second });
  const failure = await failureOf('kms-encrypt', ['-u', 'alice'], { env, stdin: secret });
  assert.deepEqual([failure.status, failure.code], [4, 'AccessDenied']);
  assert.match(failure.message, /eu-west-1/);
  assert.match(failure.notices.at(-1) ?? '', /Continuing in eu-west-1\.$/);
  assert.equal(proxy.count(undefined, third), 0);
});

test('three Regions are tried in the order of the setting', async (t) => {
  const { env, proxy, switchOff } = await setup(t, { FALLBACK_REGIONS: `${third}, ${second}` });
  for (const stdin of [secret, large]) {
    switchOff(first);
    proxy.fault({ kind: 'reset', when: 'at-request' }, { region: third });
    const encrypted = await run('kms-encrypt', ['-u', 'alice'], { env, stdin });
    assertDone(encrypted);
    assert.deepEqual(
      notices(encrypted).map((line) =>
        /in (\S+) (?:failed|was lost).* in (\S+)\.$/.exec(line)?.slice(1),
      ),
      [
        [first, third],
        [third, second],
      ],
    );
    assert.deepEqual(
      [...new Set(proxy.requests.map(({ region }) => region))],
      [first, third, second],
    );
    for (const region of regions) {
      const only = { ...env, KEY_ID: key.keyArn.replace(first, region), FALLBACK_REGIONS: '' };
      switchOff(undefined);
      const opened = await run('kms-decrypt', ['-u', 'alice'], {
        env: only,
        stdin: encrypted.stdout,
      });
      assertDone(opened, stdin);
    }
  }
});

describe('a Region that hangs', { concurrency: true }, () => {
  const silence: Fault = { kind: 'silence' };
  const hanging = (t: Parameters<typeof setup>[0], attempts: string): Promise<Setup> =>
    setup(t, { AWS_MAX_ATTEMPTS: attempts });
  const timeoutMs = 120_000;

  test('is left after its timeout', async (t) => {
    const { env, switchOff, proxy } = await hanging(t, '1');
    for (const stdin of [secret, large]) {
      switchOff(first, silence);
      const encrypted = await run('kms-encrypt', ['-u', 'alice'], { env, stdin, timeoutMs });
      assertDone(encrypted);
      assert.match(
        notices(encrypted).join('\n'),
        /^kms-encrypt: AWS KMS in eu-central-1 did not answer in time \(\w+\)\. Continuing in eu-west-1\.$/,
      );
      assert.deepEqual([proxy.count(undefined, first), proxy.count(undefined, second)], [1, 1]);
    }
  });

  test('and so is one that stops within its response', async (t) => {
    const { env, switchOff } = await hanging(t, '1');
    switchOff(first, { kind: 'stall' });
    const encrypted = await run('kms-encrypt', ['-u', 'alice'], { env, stdin: secret, timeoutMs });
    assertDone(encrypted);
    assert.match(
      notices(encrypted).join('\n'),
      /did not answer in time .* Continuing in eu-west-1\.$/,
    );
  });

  test('costs no more with any number of attempts', async (t) => {
    const { env, switchOff, proxy } = await hanging(t, '1000');
    switchOff(first, silence);
    const encrypted = await run('kms-encrypt', ['-u', 'alice'], { env, stdin: secret, timeoutMs });
    assertDone(encrypted);
    assert.match(
      notices(encrypted).join('\n'),
      /did not answer in time .* Continuing in eu-west-1\.$/,
    );
    assert.ok(proxy.count(undefined, first) < 10);
  });
});

test('a batch asks a Region that is down once', async (t) => {
  const { env, switchOff, proxy } = await setup(t);
  const users = ['alice', 'bob'];
  const lines = Array.from({ length: 100 }, (_, id) => ({ id, user: users[id % 2], message: 'x' }));
  const stdin = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  // KMS blobs too, each of which costs a call.
  const blob = await run('kms-encrypt', ['-u', 'bob', '--json'], { env, stdin: 'from KMS' });
  const { ciphertext } = JSON.parse(blob.stdout.toString()) as Record<string, string>;
  const blobs = Array.from(
    { length: 60 },
    () => `${JSON.stringify({ user: 'bob', ciphertext })}\n`,
  );

  switchOff(first);
  const encrypted = await run('kms-encrypt', ['--batch'], { env, stdin });
  assertDone(encrypted);
  assert.equal(notices(encrypted).length, 1);
  // Both users' data keys are asked for at once, in three attempts each, and then never again.
  assert.equal(proxy.count(undefined, first), 6);
  assert.equal(proxy.count('GenerateDataKey', second), 2);

  switchOff(first);
  const batch = Buffer.concat([encrypted.stdout, Buffer.from(blobs.join(''))]);
  const decrypted = await run('kms-decrypt', ['--batch'], { env, stdin: batch });
  assertDone(decrypted, stdin + '{"user":"bob","message":"from KMS"}\n'.repeat(60));
  assert.equal(notices(decrypted).length, 1);
  assert.equal(proxy.count('Decrypt', second), 62);
  // Sixteen lines are worked on at once.
  assert.ok(proxy.count(undefined, first) <= 3 * 16, String(proxy.count(undefined, first)));
});

describe('the setting', () => {
  /** What each command says about a setting that is refused, for one message and a batch alike. */
  const usage = async (env: Environment, args: string[] = []): Promise<string> => {
    const said = new Set<string>();
    for (const command of ['kms-encrypt', 'kms-decrypt']) {
      for (const more of [['-u', 'alice'], ['--batch']]) {
        const finished = await run(command, [...args, ...more], { env, stdin: 'QUJD' });
        assert.deepEqual([finished.status, finished.stdout.length], [2, 0], finished.stderr);
        said.add(finished.stderr.replace(/^kms-\w+: /, ''));
      }
    }
    assert.equal(said.size, 1);
    return [...said].join('');
  };

  test('needs the multi-Region key itself: anything else may be another key elsewhere', async (t) => {
    const { env, proxy } = await setup(t);
    const { keyId, keyArn } = await moto.createKey({ alias: 'here' });
    for (const reference of [
      'alias/everywhere',
      key.keyArn.replace(/key\/.*/, 'alias/everywhere'),
      keyId,
      keyArn,
    ]) {
      const said = await usage({ ...env, KEY_ID: reference });
      assert.match(said, /FALLBACK_REGIONS needs a multi-Region key/);
      assert.ok(said.includes(reference));
      assert.equal(await usage(env, ['--key', reference]), said);
    }
    assert.equal(proxy.count(), 0);
  });

  test('leaves other kinds of keys alone', async (t) => {
    const { env, proxy } = await setup(t, { KEY_ID: 'local' });
    const home = temporaryFolder();
    const encrypted = await run('kms-encrypt', ['-u', 'alice'], { env, home, stdin: secret });
    const opened = await run('kms-decrypt', ['-u', 'alice'], {
      env,
      home,
      stdin: encrypted.stdout,
    });
    assertDone(opened, secret);
    assert.equal(proxy.count(), 0);
  });

  test('takes the bare id of a multi-Region key, with AWS_REGION', async (t) => {
    const { env, switchOff } = await setup(t, { KEY_ID: key.keyId });
    for (const stdin of [secret, large]) {
      for (const [encryptsIn, decryptsIn] of [
        [first, second],
        [second, first],
      ] as const) {
        switchOff(encryptsIn === first ? second : first);
        const encrypted = await run('kms-encrypt', ['-u', 'alice'], { env, stdin });
        assertDone(encrypted);
        switchOff(decryptsIn === first ? second : first);
        const opened = await run('kms-decrypt', ['-u', 'alice'], { env, stdin: encrypted.stdout });
        assertDone(opened, stdin);
      }
    }
  });

  test('says where it went even with --quiet, and --json says which key', async (t) => {
    const { env, switchOff } = await setup(t);
    switchOff(first);
    const encrypted = await run('kms-encrypt', ['-u', 'alice', '-q', '--json'], {
      env,
      stdin: secret,
    });
    assertDone(encrypted);
    assert.match(notices(encrypted).join('\n'), /Continuing in eu-west-1\.$/);
    assert.equal((JSON.parse(encrypted.stdout.toString()) as { key: string }).key, replicaArn);
    const decrypted = await run('kms-decrypt', ['-u', 'alice', '--quiet'], {
      env,
      stdin: encrypted.stdout,
    });
    assertDone(decrypted, secret);
    assert.match(notices(decrypted).join('\n'), /Continuing in eu-west-1\.$/);
  });

  test('may name the first Region, and a Region twice: neither is asked again', async (t) => {
    const { env, switchOff, proxy } = await setup(t, {
      FALLBACK_REGIONS: [first, second, second].join(','),
    });
    switchOff(first);
    proxy.fault(serverError, { region: second });
    const finished = await run('kms-encrypt', ['-u', 'alice'], { env, stdin: secret });
    assert.deepEqual([finished.status, finished.stdout.length], [5, 0]);
    assert.equal(notices(finished).filter((line) => line.includes('Continuing')).length, 1);
    assert.deepEqual([proxy.count(undefined, first), proxy.count(undefined, second)], [3, 3]);

    // Only the first one, so there is nowhere to go.
    switchOff(first);
    const nowhere = await failureOf('kms-encrypt', ['-u', 'alice'], {
      env: { ...env, FALLBACK_REGIONS: first },
      stdin: secret,
    });
    assert.deepEqual([nowhere.status, nowhere.code, nowhere.notices.length], [5, 'Unavailable', 1]);
    assert.equal(nowhere.message, 'AWS KMS in eu-central-1 failed (KMSInternalException).');
  });

  test('is also used if the key is not the first one', async (t) => {
    const { keyArn } = await moto.createKey();
    const { env, switchOff } = await setup(t, { FALLBACK_REGIONS: '' });
    const old = await run('kms-encrypt', ['-u', 'alice'], { env, stdin: large });
    const folder = temporaryFolder();
    const local = ['-u', 'alice', '-k', `local:${join(folder, 'new.key')}`];
    await run('kms-encrypt', local, { env, stdin: secret });
    switchOff(first);
    const opened = await run('kms-decrypt', local, {
      env: { ...env, FALLBACK_REGIONS: second, DECRYPT_KEYS: `${keyArn},${key.keyArn}` },
      stdin: old.stdout,
    });
    assertDone(opened, large);
    assert.match(
      opened.stderr,
      /Continuing in eu-west-1\.\nkms-decrypt: opened with another key: \S+:key\/mrk-/,
    );
  });

  test('must be a list of Regions', async (t) => {
    const { env, proxy } = await setup(t);
    for (const FALLBACK_REGIONS of ['eu-west-1;eu-north-1', 'EU-WEST-1', 'ireland', replicaArn]) {
      const said = await usage({ ...env, FALLBACK_REGIONS });
      assert.match(said, /FALLBACK_REGIONS is not a comma-separated list of AWS Regions/);
    }
    assert.equal(proxy.count(), 0);
    for (const FALLBACK_REGIONS of ['', ' , ']) {
      assertDone(
        await run('kms-encrypt', ['-u', 'alice', '-k', 'alias/everywhere'], {
          env: { ...env, FALLBACK_REGIONS },
          stdin: secret,
        }),
      );
    }
  });

  test('needs endpoints in more than one Region', async () => {
    const env = { ...moto.env, KEY_ID: key.keyArn, FALLBACK_REGIONS: second };
    for (const host of [
      'kms.eu-central-1.amazonaws.com',
      'vpce-1.kms.eu-central-1.vpce.amazonaws.com',
    ]) {
      const said = await usage({ ...env, AWS_ENDPOINT_URL_KMS: `https://${host}` });
      assert.match(said, /AWS_ENDPOINT_URL_KMS is the endpoint of one Region/);
    }
  });

  test('a Region without a replica is an error that follows the notice', async (t) => {
    const { env, switchOff } = await setup(t, { FALLBACK_REGIONS: 'us-east-1' });
    switchOff(first);
    const out = join(temporaryFolder(), 'out');
    const finished = await run('kms-encrypt', ['-u', 'alice', '-o', out], { env, stdin: secret });
    assert.equal(finished.status, 4);
    assert.match(
      notices(finished).join('\n'),
      /Continuing in us-east-1\.\nkms-encrypt: There is no key arn:aws:kms:us-east-1:\S+ in us-east-1/,
    );
    assert.ok(!existsSync(out));
  });
});
