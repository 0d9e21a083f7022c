import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EncryptCommand } from '@aws-sdk/client-kms';
import fc from 'fast-check';
import { layoutOf } from '../envelope/messages.ts';
import {
  commandLine,
  type Finished,
  run,
  type Surroundings,
  surroundings,
  temporaryFolder,
} from '../support/command.ts';
import { awsError, type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { maxRssMebibytes, tellMaxRss } from '../support/max-rss.ts';
import { type Moto, startMoto } from '../support/moto.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';
import { makeRsaPair, writePrivate } from '../support/rsa-keys.ts';

type Line = Record<string, unknown>;

const home = temporaryFolder();
const local: Surroundings = { home, env: { KEY_ID: 'local' } };

const jsonLines = (lines: readonly unknown[]): string =>
  lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)) + '\n').join('');

const parseLines = (text: string | Buffer): Line[] =>
  text
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

const errorOf = ({ error }: Line): { code: string; message: string; hint?: string } => {
  assert.ok(typeof error === 'object' && error !== null);
  return error as { code: string; message: string };
};

const encryptBatch = (
  lines: readonly unknown[],
  options: Surroundings = local,
  args: string[] = [],
): Promise<Finished> =>
  run('kms-encrypt', ['--batch', ...args], { ...options, stdin: jsonLines(lines) });

const decryptBatch = (
  input: string | Buffer,
  options: Surroundings = local,
  args: string[] = [],
): Promise<Finished> => run('kms-decrypt', ['--batch', ...args], { ...options, stdin: input });

const assertDone = ({ status, stderr }: Finished): void => {
  assert.deepEqual([status, stderr], [0, '']);
};

before(async () => {
  await encryptBatch([{ user: 'alice', message: 'makes the key' }]);
});

describe('a batch', () => {
  test('becomes the same lines with ciphertexts, and back, each byte of the rest kept', async () => {
    const input = [
      '{"user":"alice","message":"first"}',
      ' { "id" : 12345678901234567890.10, "2":[{"message":"}\\"]"}], "message" : "größer 😀\\n\\u0000" , "user":"bob","1":null} ',
      '{"message":"","user":"alice","error":"mine","error":"twice"}',
      '{"messageBase64":"AP8=","user":"alice","__proto__":{"user":"x"}}',
    ].join('\n');
    const encrypted = await run('kms-encrypt', ['--batch'], { ...local, stdin: input });
    assertDone(encrypted);
    const lines = parseLines(encrypted.stdout);
    assert.deepEqual(
      lines.map((line) => Object.keys(line)),
      [
        ['user', 'ciphertext'],
        ['1', '2', 'id', 'ciphertext', 'user'],
        ['ciphertext', 'user', 'error'],
        ['ciphertext', 'user', '__proto__'],
      ],
    );
    for (const { ciphertext } of lines) assert.match(String(ciphertext), /^AgR4[A-Za-z0-9+/]+=*$/);
    const decrypted = await decryptBatch(encrypted.stdout);
    assertDone(decrypted);
    assert.equal(decrypted.stdout.toString(), `${input}\n`);
  });

  test('of any messages, users and other fields comes back as it was', async () => {
    const anyText = fc.string({ unit: 'binary' }).filter((text) => !/\p{Surrogate}/u.test(text));
    const anyLine = fc
      .record({
        user: fc.stringMatching(/^[A-Za-z0-9._@+-]{1,64}$/),
        other: fc.jsonValue(),
        message: fc.oneof(anyText, fc.uint8Array()),
      })
      .map(({ user, other, message }) =>
        typeof message === 'string'
          ? { user, other, message }
          : { user, messageBase64: Buffer.from(message).toString('base64'), other },
      );
    const input = jsonLines(fc.sample(anyLine, 300));
    const anyone = { ...local, env: { ...local.env, USERS: '*' } };
    const encrypted = await run('kms-encrypt', ['--batch'], { ...anyone, stdin: input });
    assertDone(encrypted);
    const decrypted = await decryptBatch(encrypted.stdout, anyone);
    assertDone(decrypted);
    const bytesOf = ({ message, messageBase64, ...rest }: Line): unknown => ({
      ...rest,
      bytes:
        typeof message === 'string'
          ? Buffer.from(message).toString('hex')
          : Buffer.from(String(messageBase64), 'base64').toString('hex'),
    });
    assert.deepEqual(parseLines(decrypted.stdout).map(bytesOf), parseLines(input).map(bytesOf));
  });

  test('of bytes that are text comes back as text', async () => {
    const encrypted = await encryptBatch([{ user: 'bob', messageBase64: 'aGk=' }]);
    const decrypted = await decryptBatch(encrypted.stdout);
    assert.equal(decrypted.stdout.toString(), '{"user":"bob","message":"hi"}\n');
  });

  test('of nothing is nothing, and creates no key', async () => {
    const empty: Surroundings = { home: temporaryFolder(), env: local.env };
    for (const command of ['kms-encrypt', 'kms-decrypt']) {
      const finished = await run(command, ['--batch'], { ...empty, stdin: '\n \r\n' });
      assertDone(finished);
      assert.equal(finished.stdout.length, 0);
    }
    assert.equal(existsSync(join(empty.home ?? '', 'data')), false);
  });

  test('takes a missing user from --user, and each line keeps its own', async () => {
    const input = [{ message: 'for bob' }, { user: 'alice', message: 'for alice' }];
    const encrypted = await encryptBatch(input, local, ['--user', 'bob']);
    assertDone(encrypted);
    const decrypted = await decryptBatch(encrypted.stdout, local, ['-u', 'bob']);
    assertDone(decrypted);
    assert.deepEqual(parseLines(decrypted.stdout), input);
    const forAlice = await decryptBatch(encrypted.stdout, local, ['-u', 'alice']);
    assert.equal(forAlice.status, 3);
    const [first, second] = parseLines(forAlice.stdout);
    assert.equal(errorOf(first ?? {}).code, 'WrongUser');
    assert.deepEqual(second, input[1]);
  });

  test('is read from a file and written to one', async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'in'), jsonLines([{ user: 'alice', message: 'in a file' }]));
    const options = { ...local, cwd };
    assertDone(await run('kms-encrypt', ['--batch', '-i', 'in', '-o', 'out'], options));
    assertDone(await run('kms-decrypt', ['--batch', '-i', 'out', '-o', 'back'], options));
    assert.equal(readFileSync(join(cwd, 'back')).compare(readFileSync(join(cwd, 'in'))), 0);
  });
});

const secret = 'sEntinel-7141';

describe('a line that can not be encrypted becomes an error, and the run goes on:', () => {
  const cases: [name: string, line: unknown, rest: Line, message: RegExp][] = [
    ['no JSON', `{"message":"${secret}"`, {}, /^Line 2 is not a JSON object\.$/],
    ['an array', `["${secret}"]`, {}, /^Line 4 is not a JSON object\.$/],
    ['no user', { message: secret, id: 1 }, { id: 1 }, /names no user/],
    ['a number as user', { user: 7, message: secret }, { user: 7 }, /user .* is not a string/],
    ['no name', { user: 'a b', message: secret }, { user: 'a b' }, /Not a valid user name/],
    ['not in USERS', { user: 'eve', message: secret }, { user: 'eve' }, /eve is not one of/],
    ['two users', `{"user":"alice","user":"bob","message":"${secret}"}`, { user: 'bob' }, /user more than once/],
    ['no message', { user: 'bob', id: 1 }, { user: 'bob', id: 1 }, /has no message/],
    ['two messages', { user: 'bob', message: secret, messageBase64: '' }, { user: 'bob' }, /both message and messageBase64/],
    ['a message twice', `{"user":"bob","message":"${secret}","message":"b"}`, { user: 'bob' }, /message more than once/],
    ['an object as message', { user: 'bob', message: { secret } }, { user: 'bob' }, /not a string/],
    ['half a character', `{"user":"bob","message":"${secret}\\ud83d"}`, { user: 'bob' }, /not a string/],
    ['base64 with a gap', { user: 'bob', messageBase64: `${secret} ` }, { user: 'bob' }, /not valid base64/],
    ['base64 without padding', { user: 'bob', messageBase64: 'AA' }, { user: 'bob' }, /not valid base64/],
    ['a ciphertext too', { user: 'bob', message: secret, ciphertext: 'x' }, { user: 'bob' }, /already has the field ciphertext/],
    ['an error of its own', { message: secret, error: 'mine' }, {}, /names no user/],
  ]; // prettier-ignore

  const good = { user: 'alice', message: 'good' };
  let finished: Finished;
  before(async () => {
    finished = await encryptBatch(cases.flatMap(([, line]) => [good, line]));
  });

  for (const [index, [name, , rest, message]] of cases.entries()) {
    test(name, () => {
      const [before, failed] = parseLines(finished.stdout).slice(2 * index);
      assert.deepEqual(Object.keys(before ?? {}), ['user', 'ciphertext']);
      const error = errorOf(failed ?? {});
      assert.deepEqual(failed, { ...rest, error });
      assert.equal(error.code, 'Usage');
      assert.match(error.message, message);
    });
  }

  test('and it says how many there were, with nothing from the messages', () => {
    const { status, stdout, stderr } = finished;
    assert.equal(status, 2);
    assert.equal(
      stderr,
      `kms-encrypt: ${cases.length} of ${2 * cases.length} lines failed: see the "error" of each.\n`,
    );
    assert.ok(!stdout.includes(secret));
  });

  test('and it fails again with the same error, to decrypt and to re-encrypt', async () => {
    const errors = (output: Buffer): unknown[] =>
      parseLines(output).flatMap(({ error }) => (error === undefined ? [] : [error]));
    const decrypted = await decryptBatch(finished.stdout);
    const args = ['--batch', '--to-key', 'local'];
    const moved = await run('kms-reencrypt', args, { ...local, stdin: finished.stdout });
    for (const { status, stdout } of [decrypted, moved]) {
      assert.equal(status, 2);
      assert.equal(parseLines(stdout).length, 2 * cases.length);
      assert.deepEqual(errors(stdout), errors(finished.stdout));
    }
  });

  test('but an error of somebody else, or one that would end the run, is not taken for it', async () => {
    const foreign = [
      ...['mine', null, {}, { code: 'Usage' }, { code: 'Usage', message: {} }],
      { code: 'Unavailable', message: 'mine' },
    ];
    const lines = foreign.map((error) => ({ user: 'alice', error }));
    const { status, stdout } = await decryptBatch(jsonLines(lines));
    assert.equal(status, 2);
    for (const line of parseLines(stdout)) {
      assert.equal(errorOf(line).message, 'This line has no ciphertext.');
    }
  });

  test('and --quiet hides that', async () => {
    const { status, stderr } = await encryptBatch(['nothing'], local, ['--quiet']);
    assert.deepEqual([status, stderr], [2, '']);
  });
});

test('what cannot be decrypted becomes an error with its own code', async () => {
  const encrypted = await encryptBatch([{ user: 'alice', message: secret, id: 7 }]);
  const [line] = parseLines(encrypted.stdout);
  const ciphertext = String(line?.ciphertext);
  const changed = Buffer.from(ciphertext, 'base64');
  changed.writeUInt8(changed.readUInt8(changed.length - 20) ^ 1, changed.length - 20);
  const cases: [ciphertext: unknown, user: string, code: string][] = [
    [ciphertext, 'bob', 'WrongUser'],
    [changed.toString('base64'), 'alice', 'CannotDecrypt'],
    [ciphertext.slice(0, -4), 'alice', 'NotCiphertext'],
    [ciphertext.slice(0, 40), 'alice', 'NotCiphertext'],
    [`${ciphertext.slice(0, -4)}%%%%`, 'alice', 'NotCiphertext'],
    ['', 'alice', 'NotCiphertext'],
    [7, 'alice', 'Usage'],
    // A KMS blob, but no KMS key is set.
    [Buffer.alloc(150, 1).toString('base64'), 'alice', 'Usage'],
  ];
  const input = cases.map(([text, user]) => ({ id: 7, ciphertext: text, user }));
  // As people paste it: still one line of JSON.
  const pasted = {
    user: 'alice',
    ciphertext: `${ciphertext.slice(0, 76)}\r\n${ciphertext.slice(76)}`,
  };
  const finished = await decryptBatch(jsonLines([...input, pasted]));
  assert.equal(finished.status, 3);
  const lines = parseLines(finished.stdout);
  assert.deepEqual(lines.pop(), { user: 'alice', message: secret });
  assert.deepEqual(
    lines.map((each) => [Object.keys(each), errorOf(each).code]),
    cases.map(([, , code]) => [['id', 'user', 'error'], code]),
  );
});

test('a line with a message is not decrypted into a second one', async () => {
  const encrypted = await encryptBatch([{ user: 'alice', message: secret }]);
  const line = { ...parseLines(encrypted.stdout)[0], message: 'a forged one' };
  const { status, stdout } = await decryptBatch(jsonLines([line]));
  assert.equal(status, 2);
  assert.match(errorOf(parseLines(stdout)[0] ?? {}).message, /already has the field message/);
});

describe('settings that are wrong are not the fault of each line:', () => {
  const lines = [
    { user: 'alice', message: 'one' },
    { user: 'bob', message: 'two' },
  ];
  const assertEnded = (finished: Finished, says: RegExp, expected = 2): void => {
    const { status, stdout, stderr } = finished;
    assert.deepEqual([status, stdout.toString()], [expected, ''], stderr);
    assert.match(stderr, says);
  };

  test('no Region, no key file, a pin that is another key’s', async () => {
    const noRegion = { home, env: { KEY_ID: 'alias/any' } };
    assertEnded(await encryptBatch(lines, noRegion), /^kms-encrypt: No AWS Region is set/);
    const noFile = { home, env: { KEY_ID: 'rsa:missing.pem' } };
    assertEnded(await encryptBatch(lines, noFile), /missing\.pem/, 4);
    const { publicFile } = makeRsaPair(temporaryFolder(), 'a');
    const pin = { home, env: { KEY_ID: `rsa:${publicFile}#${'0'.repeat(32)}` } };
    assertEnded(await encryptBatch(lines, pin), /a-public\.pem/);
  });

  test('nor a private key whose passphrase can’t be asked for', async () => {
    const { publicFile, privateFile, privateKey } = makeRsaPair(temporaryFolder(), 'a');
    const passphrase = 'open sesame';
    writePrivate(
      privateFile,
      privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }),
    );
    const encrypted = await encryptBatch(lines, { home, env: { KEY_ID: `rsa:${publicFile}` } });
    assertDone(encrypted);
    const env = { KEY_ID: `rsa:${privateFile}` };
    assertEnded(await decryptBatch(encrypted.stdout, { home, env }), /passphrase/i);
  });

  test('but a blob of KMS is its own line’s, when no KMS key is set', async () => {
    const { stdout } = await encryptBatch(lines);
    const blob = Buffer.concat([Buffer.from([1, 2, 2, 0, 0x78]), Buffer.alloc(147, 0xff)]);
    const [one, two] = parseLines(stdout);
    const input = [one, { user: 'alice', ciphertext: blob.toString('base64') }, two];
    const { status, stdout: output } = await decryptBatch(jsonLines(input));
    assert.equal(status, 2);
    const [first, second = {}, third] = parseLines(output);
    assert.deepEqual([first, third], lines);
    assert.equal(errorOf(second).code, 'Usage');
    assert.match(errorOf(second).message, /no AWS KMS key is set/);
  });

  test('a text is its own line’s too, and no KMS key is missing for it', async () => {
    const [one] = parseLines((await encryptBatch(lines)).stdout);
    const text = Buffer.from('only a note, which is in base64, as are messages. '.repeat(3));
    const input = [{ user: 'bob', ciphertext: text.toString('base64') }, one];
    const { status, stdout } = await decryptBatch(jsonLines(input));
    assert.equal(status, 3);
    const [first = {}, second] = parseLines(stdout);
    assert.equal(errorOf(first).code, 'NotCiphertext');
    assert.deepEqual(second, lines[0]);
  });
});

describe('how it is called:', () => {
  for (const option of ['--json', '--binary', '--hide']) {
    test(`not with ${option}`, async () => {
      const finished = await encryptBatch([], local, [option]);
      assert.deepEqual([finished.status, finished.stdout.length], [2, 0]);
      assert.match(finished.stderr, new RegExp(`--batch can't be combined with ${option}`));
    });
  }

  test('not typed in on a terminal', async () => {
    for (const args of [['--batch'], ['--batch', '-i', '-']]) {
      const terminal = startOnTerminal('kms-encrypt', args, local);
      await terminal.waitFor('--batch needs a pipe');
      await terminal.waitFor('Pipe the lines in');
      assert.deepEqual(await terminal.exit(), { status: 2, signal: null });
    }
  });

  test('with a user that is allowed', async () => {
    const finished = await encryptBatch([{ message: 'x' }], local, ['-u', 'eve']);
    assert.deepEqual([finished.status, finished.stdout.length], [2, 0]);
  });

  test('on a terminal, from a file: nothing in a line controls it', async () => {
    const cwd = temporaryFolder();
    writeFileSync(
      join(cwd, 'in'),
      jsonLines([{ user: 'bob', message: '\u009b31m\u202e', id: '\u009b' }]),
    );
    assertDone(await run('kms-encrypt', ['--batch', '-i', 'in', '-o', 'out'], { ...local, cwd }));
    const terminal = startOnTerminal('kms-decrypt', ['--batch', '-i', 'out'], { ...local, cwd });
    await terminal.waitFor('{"user":"bob","message":"\\u009b31m\\u202e","id":"\\u009b"}');
    assert.equal((await terminal.exit()).status, 0);
  });
});

const running = new Set<ChildProcessWithoutNullStreams>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** A command to talk to: lines in, lines out. */
const startBatch = (command: string, args: string[] = [], options: Surroundings = local) => {
  const { file, args: fileArgs } = commandLine(command, ['--batch', ...args]);
  const child = spawn(file, fileArgs, { ...surroundings(options), stdio: 'pipe' });
  running.add(child);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.on('error', () => undefined);
  const ended = new Promise<{ status: number | null; signal: string | null; stderr: string }>(
    (resolve) => {
      child.on('close', (status, signal) => {
        running.delete(child);
        resolve({ status, signal, stderr });
      });
    },
  );
  let reader: AsyncIterator<string> | undefined;
  const lines = (): AsyncIterator<string> =>
    (reader ??= createInterface(child.stdout)[Symbol.asyncIterator]());
  return {
    child,
    ended,
    /** Waits for the reader, as a pipe does. */
    send: async (line: unknown): Promise<void> => {
      if (!child.stdin.write(jsonLines([line]))) await once(child.stdin, 'drain');
    },
    receive: async (): Promise<Line> => {
      const next = await lines().next();
      assert.ok(next.done !== true, `it ended: ${stderr}`);
      return JSON.parse(next.value) as Line;
    },
    remaining: async (): Promise<Line[]> => {
      const rest: Line[] = [];
      for (let next = await lines().next(); next.done !== true; next = await lines().next()) {
        rest.push(JSON.parse(next.value) as Line);
      }
      return rest;
    },
  };
};

describe('as a stream', () => {
  test('each line is answered before the next one comes', async () => {
    const encrypt = startBatch('kms-encrypt');
    const decrypt = startBatch('kms-decrypt');
    for (let id = 0; id < 5; id++) {
      await encrypt.send({ id, user: 'alice', message: `message ${id}` });
      await decrypt.send(await encrypt.receive());
      assert.deepEqual(await decrypt.receive(), { id, user: 'alice', message: `message ${id}` });
    }
    for (const { child, ended } of [encrypt, decrypt]) {
      child.stdin.end();
      assert.deepEqual(await ended, { status: 0, signal: null, stderr: '' });
    }
  });

  test(
    'a line that is too long is an error, and takes no memory',
    { timeout: 60_000 },
    async () => {
      const options = { ...local, env: { ...local.env, ...tellMaxRss } };
      const batch = startBatch('kms-encrypt', [], options);
      const chunk = Buffer.alloc(2 ** 20, 'x');
      batch.child.stdin.write('{"user":"alice","message":"');
      for (let mebibyte = 0; mebibyte < 256; mebibyte++) {
        if (!batch.child.stdin.write(chunk)) await once(batch.child.stdin, 'drain');
      }
      batch.child.stdin.write('"}\n');
      await batch.send({ user: 'bob', message: 'the next' });
      assert.match(errorOf(await batch.receive()).message, /^Line 1 is longer than 16 MiB\.$/);
      assert.equal((await batch.receive()).user, 'bob');
      batch.child.stdin.end();
      const { status, stderr } = await batch.ended;
      assert.equal(status, 2);
      assert.ok(maxRssMebibytes(stderr) < 200, stderr);
    },
  );

  test('an endless input takes no more memory than a short one', { timeout: 60_000 }, async () => {
    const options = { ...local, env: { ...local.env, ...tellMaxRss } };
    const encrypt = startBatch('kms-encrypt', [], options);
    const decrypt = startBatch('kms-decrypt', [], options);
    encrypt.child.stdout.pipe(decrypt.child.stdin);
    let received = 0;
    decrypt.child.stdout.on('data', (chunk: Buffer) => (received += chunk.length));
    const message = 'm'.repeat(100_000);
    for (let id = 0; id < 1000; id++) await encrypt.send({ id, user: 'alice', message });
    encrypt.child.stdin.end();
    for (const { ended } of [encrypt, decrypt]) {
      const { status, stderr } = await ended;
      assert.equal(status, 0, stderr);
      assert.ok(maxRssMebibytes(stderr) < 200, stderr);
    }
    assert.ok(received > 1000 * message.length);
  });

  test('the longest line goes through, and back', { timeout: 60_000 }, async () => {
    const start = '{"user":"alice","message":"';
    const line = `${start}${'é'.repeat((2 ** 24 - start.length - 2) / 2)}"}`;
    const encrypted = await run('kms-encrypt', ['--batch'], { ...local, stdin: line });
    assertDone(encrypted);
    const decrypted = await decryptBatch(encrypted.stdout);
    assertDone(decrypted);
    assert.ok(decrypted.stdout.toString() === `${line}\n`);
  });
});

describe('an end before the end:', () => {
  const endless = `yes '{"user":"alice","message":"again and again"}'`;
  const encrypt = commandLine('kms-encrypt', ['--batch']);
  const command = [encrypt.file, ...encrypt.args].map((each) => `'${each}'`).join(' ');

  test('a reader that has enough', async () => {
    const { stdout, stderr } = await run(
      'sh',
      ['-c', `{ ${endless} | ${command}; echo "status $?" >&2; } | head -n 3`],
      local,
    );
    assert.equal(parseLines(stdout).length, 3);
    assert.equal(stderr, 'status 141\n');
  });

  test('a full disk', async () => {
    for (const target of ['> /dev/full', '-o /dev/full']) {
      const { status, stderr } = await run(
        'sh',
        ['-c', `${endless} | ${command} ${target}`],
        local,
      );
      assert.equal(status, 1);
      assert.match(
        stderr,
        /^kms-encrypt: Can't write .*: the disk is full \(ENOSPC\)\.\nhint: Free some space/,
      );
    }
  });

  test('kill -9 leaves the old file', async () => {
    const cwd = temporaryFolder();
    const target = join(cwd, 'out');
    writeFileSync(target, 'as it was');
    for (let round = 0; round < 5; round++) {
      const batch = startBatch('kms-encrypt', ['-o', target], { ...local, cwd });
      const { stdin } = batch.child;
      const line = jsonLines([{ user: 'bob', message: 'x'.repeat(1000) }]);
      const feed = (): void => {
        while (!stdin.destroyed && stdin.write(line));
      };
      stdin.on('drain', feed);
      feed();
      const isWriting = (): boolean => readdirSync(cwd).some((name) => name.endsWith('.tmp'));
      while (!isWriting()) await delay(5);
      await delay(Math.random() * 100);
      batch.child.kill('SIGKILL');
      assert.equal((await batch.ended).signal, 'SIGKILL');
      assert.equal(readFileSync(target, 'utf8'), 'as it was');
    }
  });

  test('kill -9 leaves whole lines on standard output, except the last', async () => {
    const file = join(temporaryFolder(), 'out');
    const out = openSync(file, 'w');
    const { env, cwd } = surroundings(local);
    const lines = Array.from({ length: 20_000 }, (_, id) => ({ id, user: 'bob', message: 'x' }));
    const input = join(cwd, 'in');
    writeFileSync(input, jsonLines(lines));
    const args = [...encrypt.args, '-i', input];
    const child = spawn(encrypt.file, args, { env, cwd, stdio: ['ignore', out, 'ignore'] });
    closeSync(out);
    const closed = once(child, 'close');
    while (readFileSync(file).length < 200_000) await delay(5);
    child.kill('SIGKILL');
    await closed;
    const text = readFileSync(file, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    const decrypted = await decryptBatch(whole);
    assertDone(decrypted);
    const back = parseLines(decrypted.stdout);
    assert.deepEqual(back, lines.slice(0, back.length));
  });
});

/** Where a message has its encrypted data key. */
const dataKeyOf = (message: Buffer): Buffer =>
  message.subarray(...(layoutOf(message).fields['encrypted data key'] ?? [0, 0]));

describe('under AWS keys', () => {
  let moto: Moto;
  let proxy: FaultProxy;
  let aws: Surroundings;
  before(async () => {
    moto = await startMoto();
    proxy = await startFaultProxy({ target: moto.endpoint });
    await moto.createKey({ alias: 'batch' });
    const env = {
      ...moto.env,
      AWS_ENDPOINT_URL: proxy.endpoint,
      KEY_ID: 'alias/batch',
      USERS: '*',
    };
    aws = { home, env };
  });
  after(async () => {
    await proxy.stop();
    await moto.stop();
  });
  const operations = (): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const { operation } of proxy.requests) counts[operation] = (counts[operation] ?? 0) + 1;
    proxy.reset();
    return counts;
  };
  const assertQuietButForEndpoint = ({ status, stderr }: Finished): void => {
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^kms-(?:en|de)crypt: messages are sent to 127\.0\.0\.1[^\n]*\n$/);
  };

  test("one call creates and one opens a user's data key", async () => {
    const input = Array.from({ length: 400 }, (_, id) => ({
      id,
      user: `user${id % 20}`,
      message: `message ${id}`,
    }));
    proxy.reset();
    const encrypted = await encryptBatch(input, aws);
    assertQuietButForEndpoint(encrypted);
    assert.deepEqual(operations(), { DescribeKey: 1, GenerateDataKey: 20 });
    const dataKeys = parseLines(encrypted.stdout).map(({ ciphertext }) =>
      dataKeyOf(Buffer.from(String(ciphertext), 'base64')).toString('hex'),
    );
    assert.equal(new Set(dataKeys).size, 20);
    const decrypted = await decryptBatch(encrypted.stdout, aws);
    assertQuietButForEndpoint(decrypted);
    assert.deepEqual(parseLines(decrypted.stdout), input);
    assert.deepEqual(operations(), { DescribeKey: 1, Decrypt: 20 });
  });

  test('blobs of KMS and Encryption SDK messages are told apart line by line', async () => {
    const { CiphertextBlob = new Uint8Array() } = await moto.kms().send(
      new EncryptCommand({
        KeyId: 'alias/batch',
        Plaintext: Buffer.from('by KMS'),
        EncryptionContext: { user: 'bob' },
      }),
    );
    const blob = { user: 'bob', ciphertext: Buffer.from(CiphertextBlob).toString('base64') };
    const [byUs] = parseLines(
      (await encryptBatch([{ user: 'bob', message: 'by us' }], aws)).stdout,
    );
    proxy.reset();
    const finished = await decryptBatch(
      jsonLines([blob, byUs, { ...blob, user: 'alice' }, { ...byUs, user: 'alice' }, blob]),
      aws,
    );
    assert.equal(finished.status, 3);
    const lines = parseLines(finished.stdout);
    assert.deepEqual(
      lines.map((line) => line.message ?? errorOf(line).code),
      ['by KMS', 'by us', 'CannotDecrypt', 'WrongUser', 'by KMS'],
    );
    // Alice's second kind of line is refused because of its header, without a call.
    assert.deepEqual(operations(), { Decrypt: 4, DescribeKey: 1 });
  });

  test('what KMS refuses ends the run, with the lines before it written', async () => {
    for (const [error, status, code] of [
      ['AccessDeniedException', 4, 'not allowed to encrypt'],
      ['ThrottlingException', 5, 'is throttling requests'],
    ] as const) {
      proxy.reset();
      const batch = startBatch('kms-encrypt', ['-q'], aws);
      await batch.send({ user: 'alice', message: 'one' });
      await batch.send('no line');
      const finished = [await batch.receive(), await batch.receive()];
      assert.deepEqual(Object.keys(finished[0] ?? {}), ['user', 'ciphertext']);
      proxy.fault(awsError(error));
      await batch.send({ user: 'alice', message: 'two' });
      await batch.send({ user: 'bob', message: 'refused' });
      await batch.send({ user: 'alice', message: 'three' });
      assert.deepEqual(
        (await batch.remaining()).map(({ user }) => user),
        ['alice'],
      );
      const { status: ended, stderr } = await batch.ended;
      assert.equal(ended, status);
      assert.match(stderr, new RegExp(`^kms-encrypt: [^\n]*${code}[^\n]*\nhint: [^\n]*\n$`, 'm'));
    }
    proxy.reset();
  });

  test('sixteen lines are worked on at once', async () => {
    proxy.reset();
    proxy.fault({ kind: 'silence' }, { operation: 'GenerateDataKey' });
    const batch = startBatch('kms-encrypt', [], aws);
    for (let id = 0; id < 40; id++) await batch.send({ user: `user${id}`, message: 'x' });
    while (proxy.count('GenerateDataKey') < 16) await delay(5);
    batch.child.kill('SIGKILL');
    await batch.ended;
    assert.equal(proxy.count('GenerateDataKey'), 16);
    proxy.reset();
  });

  test('an error of one line is not reported for another', async () => {
    const users = Array.from({ length: 12 }, (_, id) => `user${id}`);
    const encrypted = await encryptBatch(
      users.map((user) => ({ user, message: user })),
      aws,
    );
    const lines = parseLines(encrypted.stdout).map((line, index) => {
      if (index % 2 === 0) return line;
      const message = Buffer.from(String(line.ciphertext), 'base64');
      const dataKey = dataKeyOf(message);
      dataKey.writeUInt8(dataKey.readUInt8(dataKey.length - 1) ^ 1, dataKey.length - 1);
      return { ...line, ciphertext: message.toString('base64') };
    });
    const decrypted = await decryptBatch(jsonLines(lines), aws);
    assert.equal(decrypted.status, 3);
    for (const [index, line] of parseLines(decrypted.stdout).entries()) {
      const user = `user${index}`;
      if (index % 2 === 0) assert.deepEqual(line, { user, message: user });
      else
        assert.match(
          errorOf(line).message,
          new RegExp(`decrypted for ${user} .*InvalidCiphertext`),
        );
    }
  });

  test('backup keys can open each line', async () => {
    const withBackup = { home, env: { ...aws.env, BACKUP_KEYS: 'local' } };
    const encrypted = await encryptBatch([{ user: 'alice', message: 'kept' }], withBackup);
    assert.equal(encrypted.status, 0, encrypted.stderr);
    proxy.reset();
    const decrypted = await decryptBatch(encrypted.stdout, local);
    assertDone(decrypted);
    assert.deepEqual(parseLines(decrypted.stdout), [{ user: 'alice', message: 'kept' }]);
    assert.equal(proxy.count(), 0);
  });

  test('an old key is announced once', async () => {
    const input = [
      { user: 'alice', message: 'one' },
      { user: 'bob', message: 'two' },
    ];
    const encrypted = await encryptBatch(input, aws);
    const { keyArn } = await moto.createKey();
    const env = { ...aws.env, KEY_ID: keyArn, DECRYPT_KEYS: 'alias/batch' };
    const decrypted = await decryptBatch(encrypted.stdout, { home, env });
    assert.equal(decrypted.status, 0);
    assert.equal(decrypted.stderr.match(/opened with another key/g)?.length, 1);
  });
});
