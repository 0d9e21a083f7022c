/** RSA key files: every form they come in, what is refused, and the passphrase. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import type { ErrorCode } from '../../src/errors.ts';
import type { RsaKeyReference } from '../../src/keys/key-reference.ts';
import { readRsaKey, readRsaPublicKey } from '../../src/keys/rsa-key.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';
import { makeRsaPair, type RsaPair, writePrivate } from '../support/rsa-keys.ts';

const secret = 'this is a secret';
const passphrase = 'correct horse 😀 battery';

let folder: string;
let pair: RsaPair;
let wrongPair: RsaPair;
/** The private key of the pair, with the passphrase. */
let protectedFile: string;
/** A message that the pair opens, in base64. */
let ciphertext: Buffer;
before(async () => {
  folder = temporaryFolder();
  pair = makeRsaPair(folder, 'backup');
  wrongPair = makeRsaPair(folder, 'wrong');
  protectedFile = join(folder, 'protected.pem');
  writePrivate(
    protectedFile,
    pair.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }),
  );
  const encrypted = await run('kms-encrypt', ['-u', 'alice', '-k', `rsa:${pair.publicFile}`], {
    stdin: secret,
  });
  assert.deepEqual([encrypted.status, encrypted.stderr], [0, '']);
  ciphertext = encrypted.stdout;
});

const rsa = (file: string): RsaKeyReference => ({ kind: 'rsa', file, fingerprint: undefined });

const noPassphrase = (): Promise<Uint8Array> => assert.fail('a passphrase was asked for');
const thePassphrase = (): Promise<Uint8Array> => Promise.resolve(Buffer.from(passphrase));

describe('forms of a key file', () => {
  test('a public key as SPKI and as PKCS#1', async () => {
    for (const type of ['spki', 'pkcs1'] as const) {
      const file = join(folder, `public-${type}.pem`);
      writeFileSync(file, pair.publicKey.export({ type, format: 'pem' }));
      for (const read of [readRsaPublicKey, readRsaKey]) {
        const { key, fingerprint, isSecret } = await read(rsa(file), noPassphrase);
        assert.deepEqual([key.type, fingerprint, isSecret], ['public', pair.fingerprint, false]);
      }
    }
  });

  test('a private key as PKCS#8 and PKCS#1, with a passphrase and without', async () => {
    for (const type of ['pkcs8', 'pkcs1'] as const) {
      for (const options of [{}, { cipher: 'aes-256-cbc', passphrase }]) {
        const file = join(folder, `private-${type}.pem`);
        writePrivate(file, pair.privateKey.export({ type, format: 'pem', ...options }));
        const ask = 'cipher' in options ? thePassphrase : noPassphrase;
        const { key, fingerprint } = await readRsaKey(rsa(file), ask);
        assert.deepEqual([key.type, fingerprint], ['private', pair.fingerprint]);
        const half = await readRsaPublicKey(rsa(file), ask);
        assert.deepEqual([half.key.type, half.fingerprint], ['public', pair.fingerprint]);
      }
    }
  });

  test('the bytes of the passphrase are zeroed, whether it is right or wrong', async () => {
    for (const text of [passphrase, 'another']) {
      const given = Buffer.from(text);
      const reading = readRsaKey(rsa(protectedFile), () => Promise.resolve(given));
      if (text === passphrase) await reading;
      else await assert.rejects(reading, { code: 'KeyUnusable' });
      assert.deepEqual(given, Buffer.alloc(given.length));
    }
  });

  test('the fingerprint is what openssl computes', async () => {
    const { status, stdout, stderr } = await run('sh', [
      '-c',
      'openssl pkey -pubin -in "$0" -outform DER | openssl dgst -sha256 -r | cut -c 1-32',
      pair.publicFile,
    ]);
    assert.deepEqual([status, stderr], [0, '']);
    assert.equal(stdout.toString(), `${pair.fingerprint}\n`);
  });

  const refused: [string, () => string, ErrorCode, RegExp][] = [
    [
      'a key of 2,048 bits',
      () => makeRsaPair(folder, 'short', 2048).publicFile,
      'KeyUnusable',
      /has 2048 bits; at least 3072/,
    ],
    [
      'an EC key',
      () => {
        const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        return publicKey.export({ type: 'spki', format: 'pem' }).toString();
      },
      'KeyUnusable',
      /is not an RSA key\./,
    ],
    ['an empty file', () => '', 'KeyUnusable', /is not an RSA key in PEM format/],
    [
      'DER',
      () => pair.publicKey.export({ type: 'spki', format: 'der' }).toString('latin1'),
      'KeyUnusable',
      /is not an RSA key in PEM format/,
    ],
    [
      'a cut private key',
      () => readFileSync(pair.privateFile, 'utf8').slice(0, 500),
      'KeyUnusable',
      /is not an RSA key in PEM format/,
    ],
  ];
  for (const [name, make, code, says] of refused) {
    test(`${name} is refused, encrypting and decrypting`, async () => {
      const made = make();
      const file = made.endsWith('-public.pem') ? made : join(folder, 'refused.pem');
      if (file !== made) writeFileSync(file, made, 'latin1');
      for (const [command, stdin] of [
        ['kms-encrypt', secret],
        ['kms-decrypt', ciphertext],
      ] as const) {
        const failure = await failureOf(command, ['-u', 'alice', '-k', `rsa:${file}`], { stdin });
        assert.deepEqual([failure.status, failure.code], [4, code]);
        assert.match(failure.message, says);
        assert.ok(failure.message.includes(file));
      }
    });
  }

  test('a missing file is KeyNotFound; a folder is KeyUnusable', async () => {
    const key = (path: string): string[] => ['-u', 'alice', '-k', `rsa:${path}`];
    const missing = await failureOf('kms-encrypt', key(join(folder, 'none.pem')), {
      stdin: secret,
    });
    assert.deepEqual([missing.status, missing.code], [4, 'KeyNotFound']);
    assert.equal(missing.hint, 'Check the path after rsa:.');
    // Without a digit a fingerprint is none, but a part of the name.
    const pinned = await failureOf('kms-encrypt', key(`${pair.publicFile}#${'0'.repeat(31)}`));
    assert.deepEqual([pinned.status, pinned.code], [4, 'KeyNotFound']);
    assert.match(pinned.hint ?? '', /A fingerprint, after #, has 32 hexadecimal digits\.$/);
    const aFolder = await failureOf('kms-encrypt', key(folder), { stdin: secret });
    assert.deepEqual([aFolder.status, aFolder.code], [4, 'KeyUnusable']);
    assert.match(aFolder.message, /EISDIR/);
  });
});

describe('which key opens a message', () => {
  const decryptWith = (
    file: string,
  ): Promise<{ status: number | null; code: string; message: string }> =>
    failureOf('kms-decrypt', ['-u', 'alice', '-k', `rsa:${file}`], { stdin: ciphertext });

  test('the private key does, with a notice if others can read its file', async () => {
    const args = ['-u', 'alice', '-k', `rsa:${pair.privateFile}`];
    const private_ = await run('kms-decrypt', args, { stdin: ciphertext });
    assert.deepEqual(
      [private_.status, private_.stderr, private_.stdout.toString()],
      [0, '', secret],
    );

    chmodSync(pair.privateFile, 0o640);
    const seen = await run('kms-decrypt', args, { stdin: ciphertext });
    const quiet = await run('kms-decrypt', [...args, '-q'], { stdin: ciphertext });
    chmodSync(pair.privateFile, 0o600);
    assert.equal(
      seen.stderr,
      `kms-decrypt: other users can read ${pair.privateFile}. Run: chmod 600 ${pair.privateFile}\n`,
    );
    assert.deepEqual([seen.status, quiet.status, quiet.stderr], [0, 0, '']);
  });

  test('the public key does not, and the error says what does', async () => {
    const failure = await decryptWith(pair.publicFile);
    assert.deepEqual([failure.status, failure.code], [4, 'KeyUnusable']);
    assert.match(failure.message, /is a public key; decrypting needs the private key/);
  });

  test('a public key among the keys does not hide which key would open it', async () => {
    const folderOfKeys = temporaryFolder();
    const both = await run('kms-encrypt', ['-q', '-u', 'alice', '-k', 'local:one.key'], {
      stdin: secret,
      cwd: folderOfKeys,
      env: { BACKUP_KEYS: `rsa:${pair.publicFile}` },
    });
    await run('kms-encrypt', ['-q', '-u', 'alice', '-k', 'local:two.key'], { cwd: folderOfKeys });
    const failure = await failureOf('kms-decrypt', ['-u', 'alice', '-k', 'local:two.key'], {
      stdin: both.stdout,
      cwd: folderOfKeys,
      env: { BACKUP_KEYS: `rsa:${pair.publicFile}` },
    });
    assert.deepEqual([failure.status, failure.code], [3, 'WrongKey']);
    assert.match(failure.message, /^This message opens with local key \S+, .* not with .*two\.key/);
    assert.match(failure.message, /is a public key/);
    assert.match(failure.hint ?? '', /DECRYPT_KEYS/);
  });

  test('a different key does not, private or public, and both are named', async () => {
    for (const file of [wrongPair.privateFile, wrongPair.publicFile]) {
      const failure = await decryptWith(file);
      assert.deepEqual([failure.status, failure.code], [3, 'WrongKey']);
      assert.ok(failure.message.includes(pair.fingerprint), failure.message);
      assert.ok(failure.message.includes(wrongPair.fingerprint), failure.message);
    }
  });

  test('a private key in place of a public one encrypts with its public key', async () => {
    const args = ['-u', 'alice', '-k', `rsa:${pair.privateFile}`];
    const encrypted = await run('kms-encrypt', args, { stdin: secret });
    const decrypted = await run('kms-decrypt', args, { stdin: encrypted.stdout });
    assert.deepEqual([encrypted.status, decrypted.stdout.toString()], [0, secret]);
  });
});

describe('the passphrase', () => {
  const args = (): string[] => ['-u', 'alice', '-k', `rsa:${protectedFile}`];
  const passphraseFile = (content: string): string => {
    const file = join(temporaryFolder(), 'passphrase');
    writePrivate(file, content);
    return file;
  };

  for (const [name, ending] of [
    ['alone', ''],
    ['with a line break', '\n'],
    ['with CRLF and more lines', '\r\nanother line\n'],
  ] as const) {
    test(`from a file: ${name}`, async () => {
      const env = { RSA_PASSPHRASE_FILE: passphraseFile(passphrase + ending) };
      const { status, stdout, stderr } = await run('kms-decrypt', args(), {
        stdin: ciphertext,
        env,
      });
      assert.deepEqual([status, stderr, stdout.toString()], [0, '', secret]);
    });
  }

  test('from a file: wrong, empty, or missing', async () => {
    for (const [file, status, code] of [
      [passphraseFile('not the passphrase'), 4, 'KeyUnusable'],
      [passphraseFile(''), 4, 'KeyUnusable'],
      [join(folder, 'no-such-file'), 2, 'Usage'],
    ] as const) {
      const env = { RSA_PASSPHRASE_FILE: file };
      const failure = await failureOf('kms-decrypt', args(), { stdin: ciphertext, env });
      assert.deepEqual([failure.status, failure.code], [status, code]);
      assert.doesNotMatch(failure.message, /not the passphrase/);
    }
  });

  test('without a terminal nobody is asked', async () => {
    const failure = await failureOf('kms-decrypt', args(), { stdin: ciphertext });
    assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
    assert.match(failure.message, /needs a passphrase, and there is no terminal/);
    assert.match(failure.hint ?? '', /RSA_PASSPHRASE_FILE/);
  });

  const onTerminal = (input: string[]): ReturnType<typeof startOnTerminal> =>
    startOnTerminal('kms-decrypt', [...args(), ...input], { columns: 200 });
  const inFile = (): string[] => {
    const file = join(temporaryFolder(), 'message.b64');
    writeFileSync(file, ciphertext);
    return ['-i', file];
  };

  test('typed on a terminal, it is not shown', async () => {
    const terminal = onTerminal(inFile());
    await terminal.waitFor(`Passphrase for ${protectedFile}: `);
    terminal.write(`${passphrase}\r`);
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    assert.match(await terminal.screen(), /Your decrypted message: this is a secret$/m);
    assert.doesNotMatch(terminal.output(), /correct|battery/);
  });

  test('it is asked for after a message that was pasted at the prompt', async () => {
    const terminal = onTerminal([]);
    await terminal.waitFor('Hello alice, please enter your message to decrypt: ');
    terminal.write(`\x1b[200~${ciphertext.toString().trim()}\x1b[201~\r`);
    await terminal.waitFor(`Passphrase for ${protectedFile}: `);
    terminal.write(`${passphrase}\r`);
    assert.deepEqual(await terminal.exit(), { status: 0, signal: null });
    assert.match(await terminal.screen(), /Your decrypted message: this is a secret$/m);
  });

  test('a wrong one typed on a terminal', async () => {
    const terminal = onTerminal(inFile());
    await terminal.waitFor('Passphrase for');
    terminal.write('not the passphrase\r');
    assert.deepEqual(await terminal.exit(), { status: 4, signal: null });
    assert.match(await terminal.screen(), /Wrong passphrase for the RSA key file/);
    assert.doesNotMatch(terminal.output(), /not the passphrase/);
  });

  test('Ctrl-C instead ends the run, even with other keys left to try', async () => {
    const terminal = startOnTerminal('kms-decrypt', [...args(), ...inFile()], {
      columns: 200,
      env: { DECRYPT_KEYS: `rsa:${pair.privateFile}` },
    });
    await terminal.waitFor('Passphrase for');
    terminal.write('\x03');
    assert.deepEqual(await terminal.exit(), { status: 130, signal: null });
    assert.doesNotMatch(await terminal.screen(), /this is a secret/);
  });

  test('it is not asked for if another key opens the message first', async () => {
    const { status, stdout, stderr } = await run('kms-decrypt', ['-u', 'alice'], {
      stdin: ciphertext,
      env: { KEY_ID: `rsa:${pair.privateFile}`, DECRYPT_KEYS: `rsa:${protectedFile}` },
    });
    assert.deepEqual([status, stderr, stdout.toString()], [0, '', secret]);
  });
});
