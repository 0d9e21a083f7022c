/** examples/service: the co-process under load, when it is slow, and when it ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { before, describe, test, type TestContext } from 'node:test';
import { setImmediate as turnOfEventLoop } from 'node:timers/promises';
import { Encrypter } from '../../examples/service/encrypter.mjs';
import {
  commandLine,
  type Environment,
  run,
  surroundings,
  temporaryFolder,
} from '../support/command.ts';
import { refusingEndpoint } from '../support/fault-proxy.ts';
import { pathWithCommands } from '../support/installed.ts';

const home = temporaryFolder();
const path = pathWithCommands();
const users = ['alice', 'bob', 'carol'];
const settings = { PATH: path, KEY_ID: 'local', USERS: users.join() };

type Options = NonNullable<ConstructorParameters<typeof Encrypter>[0]>;

/** An encrypter that is closed when the test ends. */
function encrypterFor(t: TestContext, env: Environment = {}, options: Options = {}): Encrypter {
  const around = surroundings({ home, env: { ...settings, ...env } });
  const encrypter = new Encrypter({ ...around, restartDelayMs: 1, ...options });
  t.after(() => encrypter.close());
  return encrypter;
}

const userOf = (id: number): string => users[id % users.length] ?? '';
const messageOf = (id: number): string => `message ${id}: größer 😀\n`;

interface Answers {
  ciphertexts: string[];
  /** The ids of the messages, in the order of the answers. */
  order: number[];
}

/** Encrypts that many messages at once, for the users in turn. */
async function encryptMany(
  encrypter: Encrypter,
  count: number,
  onAnswer: (answered: number) => void = () => undefined,
): Promise<Answers> {
  const order: number[] = [];
  const ciphertexts = await Promise.all(
    Array.from({ length: count }, async (_, id) => {
      const ciphertext = await encrypter.encrypt(userOf(id), messageOf(id));
      onAnswer(order.push(id));
      return ciphertext;
    }),
  );
  return { ciphertexts, order };
}

/** Each ciphertext opens to its own message for its own user, and answers came in order. */
async function assertRight({ ciphertexts, order }: Answers): Promise<void> {
  assert.deepEqual(order, [...ciphertexts.keys()]);
  const lines = ciphertexts.map((ciphertext, id) =>
    JSON.stringify({ user: userOf(id), ciphertext }),
  );
  const decrypted = await run('kms-decrypt', ['--batch'], {
    home,
    env: settings,
    stdin: lines.join('\n'),
  });
  assert.equal(decrypted.status, 0, decrypted.stderr);
  const expected = ciphertexts.map((_, id) =>
    JSON.stringify({ user: userOf(id), message: messageOf(id) }),
  );
  assert.equal(decrypted.stdout.toString(), `${expected.join('\n')}\n`);
}

const signal = (encrypter: Encrypter, name: NodeJS.Signals): void => {
  process.kill(encrypter.pid ?? assert.fail('no process is running'), name);
};

/** A kms-encrypt that does what the shell says first. */
function pathWithFake(shell: string): string {
  const folder = temporaryFolder();
  const real = commandLine('kms-encrypt', []).file;
  writeFileSync(
    join(folder, 'kms-encrypt'),
    `#!/bin/sh\ncd ${folder}\n${shell}\nexec ${real} "$@"\n`,
    { mode: 0o755 },
  );
  return [folder, process.env.PATH].join(delimiter);
}

before(async () => {
  await run('kms-encrypt', ['-u', 'alice'], { home, env: settings, stdin: 'makes the key' });
});

describe('messages', () => {
  test('of several users, 10,000 at once, are answered in order', async (t) => {
    await assertRight(await encryptMany(encrypterFor(t), 10_000));
  });

  test('that are refused are refused alone', async (t) => {
    const encrypter = encrypterFor(t);
    const answers = await Promise.allSettled([
      encrypter.encrypt('alice', 'one'),
      encrypter.encrypt('mallory', 'no such user'),
      encrypter.encrypt('alice', 'half a character: \ud83d'),
      encrypter.encrypt('alice', 'x'.repeat(2 ** 24)),
      // Its answer comes in many pieces.
      encrypter.encrypt('alice', Buffer.alloc(2 ** 20, 255)),
    ]);
    assert.deepEqual(
      answers.map((answer) =>
        answer.status === 'fulfilled' ? 'ok' : (answer.reason as { code: string }).code,
      ),
      ['ok', 'Usage', 'Usage', 'Usage', 'ok'],
    );
    const last = answers[4].status === 'fulfilled' ? answers[4].value : '';
    const decrypted = await run('kms-decrypt', ['-u', 'alice'], {
      home,
      env: settings,
      stdin: last,
    });
    assert.ok(decrypted.stdout.equals(Buffer.alloc(2 ** 20, 255)));
  });
});

describe('a process that does not keep up', () => {
  test('is sent no more than the pipe takes', async (t) => {
    const encrypter = encrypterFor(t);
    await encrypter.encrypt('alice', 'starts it');
    signal(encrypter, 'SIGSTOP');
    const message = 'x'.repeat(10_000);
    const answers = Array.from({ length: 1000 }, () => encrypter.encrypt('alice', message));
    for (let turn = 0; turn < 100; turn++) await turnOfEventLoop();
    const { pending, inFlight } = encrypter;
    signal(encrypter, 'SIGCONT');
    assert.equal(pending, 1000);
    // 10 MB are waiting, and a pipe takes a few hundred kilobytes.
    assert.ok(inFlight > 0 && inFlight < 100, `${inFlight}`);
    await Promise.all(answers);
    assert.equal(encrypter.pending, 0);
  });

  test('has no more than the agreed number of short messages', async (t) => {
    const encrypter = encrypterFor(t, {}, { maxInFlight: 20 });
    let most = 0;
    const answers = encryptMany(encrypter, 500, () => {
      most = Math.max(most, encrypter.inFlight);
    });
    assert.equal(encrypter.inFlight, 20);
    await assertRight(await answers);
    assert.ok(most <= 20, `${most}`);
  });
});

describe('a process that ends', () => {
  test('by kill -9, again and again, costs no message and changes no order', async (t) => {
    // Few in flight, so that others always wait behind those that are sent again.
    const encrypter = encrypterFor(t, {}, { maxInFlight: 100 });
    const killed = new Set<number | undefined>();
    const answers = await encryptMany(encrypter, 1200, (answered) => {
      if (answered % 300 !== 150) return;
      killed.add(encrypter.pid);
      signal(encrypter, 'SIGKILL');
    });
    assert.equal(killed.size, 4);
    await assertRight(answers);
  });

  test('while nobody waits is replaced for the next message', async (t) => {
    const encrypter = encrypterFor(t);
    await encrypter.encrypt('alice', 'starts it');
    const { pid } = encrypter;
    signal(encrypter, 'SIGTERM');
    while (encrypter.pid === pid) await turnOfEventLoop();
    assert.equal(encrypter.pid, undefined);
    await encrypter.encrypt('alice', 'next');
  });

  test('with status 5 is started again', async (t) => {
    const PATH = pathWithFake('echo >>runs; [ "$(wc -l <runs)" -gt 3 ] || exit 5');
    await assertRight(await encryptMany(encrypterFor(t, { PATH }), 10));
  });

  test('with status 5 too often gives up, and works when KMS does', async (t) => {
    const PATH = pathWithFake(`echo >>runs; [ "$(wc -l <runs)" -gt 3 ] || {
      export KEY_ID=alias/x AWS_REGION=eu-central-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
      export AWS_ENDPOINT_URL=${refusingEndpoint} AWS_MAX_ATTEMPTS=1
    }`);
    const encrypter = encrypterFor(t, { PATH }, { maxFailures: 3 });
    const stopped = { code: 'Stopped', message: /^kms-encrypt ended with status 5: / };
    await Promise.all(
      ['alice', 'bob'].map((user) => assert.rejects(encrypter.encrypt(user, 'x'), stopped)),
    );
    await assertRight(await encryptMany(encrypter, 10));
  });

  test('because of its settings, or never begins, is not started again', async (t) => {
    for (const [env, message] of [
      [{ KEY_ID: undefined }, /^kms-encrypt ended with status 2: /],
      [{ PATH: temporaryFolder() }, /^kms-encrypt can't be started \(ENOENT\): /],
    ] as const) {
      const encrypter = encrypterFor(t, env, { restartDelayMs: 1e6 });
      await assert.rejects(encrypter.encrypt('alice', 'x'), { code: 'Stopped', message });
    }
  });
});

test('closing waits for the answers, even if the process is killed meanwhile', async (t) => {
  const encrypter = encrypterFor(t);
  const answers = encryptMany(encrypter, 500, (answered) => {
    if (answered === 100) signal(encrypter, 'SIGKILL');
  });
  const closed = encrypter.close();
  await assert.rejects(encrypter.encrypt('alice', 'too late'), { code: 'Closed' });
  await closed;
  assert.deepEqual([encrypter.pid, encrypter.pending], [undefined, 0]);
  await assertRight(await answers);
  await new Encrypter().close(); // was never started
});

test('the server answers, refuses, and ends when it is told to', async (t) => {
  const file = join(import.meta.dirname, '..', '..', 'examples', 'service', 'server.mjs');
  const { env, cwd } = surroundings({ home, env: { ...settings, PORT: '0' } });
  const server = spawn(process.execPath, [file], { env, cwd, stdio: 'pipe' });
  t.after(() => server.kill('SIGKILL'));
  server.stderr.pipe(process.stderr);
  const ended = once(server, 'close');
  const [said] = (await once(server.stdout, 'data')) as [Buffer];
  const port = /port (\d+)/.exec(said.toString())?.[1] ?? assert.fail(said.toString());
  const post = async (user: string, body: string): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${port}/${user}`, {
      method: 'POST',
      body,
      headers: { connection: 'close' },
    });
    return [response.status, await response.text()];
  };
  const answers = await Promise.all(
    users.map((user) => post(user, messageOf(users.indexOf(user)))),
  );
  assert.deepEqual(
    answers.map(([status]) => status),
    [200, 200, 200],
  );
  await assertRight({ ciphertexts: answers.map(([, text]) => text.trim()), order: [0, 1, 2] });
  assert.deepEqual(await post('mallory', 'x'), [
    400,
    'mallory is not one of the users: alice, bob, carol.\n',
  ]);
  assert.equal((await post('alice', 'x'.repeat(100_000)))[0], 413);
  server.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
});
