/** The memory of whole commands: what passes through must not stay, whichever way it takes. */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { maxRssMebibytes, tellMaxRss } from '../support/max-rss.ts';

const mebibyte = 2 ** 20;
const length = 256 * mebibyte;
/** docs/usage.md: constant memory. */
const mostMebibytes = 150;

test('files of any size, in bytes and base64, both ways', { timeout: 180_000 }, async () => {
  const cwd = temporaryFolder();
  const home = temporaryFolder();
  // With holes instead of zeros, so that it takes no room on the disk.
  const plain = openSync(join(cwd, 'plain'), 'w');
  ftruncateSync(plain, length);
  closeSync(plain);
  for (const [command, ...more] of [
    ['kms-encrypt', '-i', 'plain', '-o', 'bytes', '--binary'],
    ['kms-encrypt', '-i', 'plain', '-o', 'base64'],
    ['kms-decrypt', '-i', 'bytes', '-o', 'back'],
    ['kms-decrypt', '-i', 'base64', '-o', 'back'],
  ] as const) {
    const { status, stderr } = await run(command, ['-q', '-u', 'alice', '-k', 'local', ...more], {
      home,
      cwd,
      env: tellMaxRss,
      timeoutMs: 120_000,
    });
    assert.equal(status, 0, stderr);
    const taken = maxRssMebibytes(stderr);
    assert.ok(taken < mostMebibytes, `${command} ${more.join(' ')} took ${taken} MiB`);
  }
  assert.equal(statSync(join(cwd, 'back')).size, length);
});

/** Runs a command on a file, and checks that it takes no more than docs/usage.md says. */
async function takesAtMost(
  most: number,
  cwd: string,
  status: number,
  ...[command, ...args]: readonly [string, ...string[]]
): Promise<void> {
  const result = await run(command, ['-q', '-u', 'alice', '-k', 'local:key', ...args], {
    cwd,
    env: tellMaxRss,
    timeoutMs: 120_000,
  });
  assert.equal(result.status, status, result.stderr);
  const taken = maxRssMebibytes(result.stderr);
  assert.ok(taken < most, `${command} ${args.join(' ')} took ${taken} MiB`);
}

/** docs/usage.md: what is held in memory whole takes up to this. */
const mostWhole = 300;

test('a message that grows sixfold as JSON', { timeout: 180_000 }, async () => {
  const cwd = temporaryFolder();
  const plaintext = Buffer.alloc(64 * mebibyte, 1);
  writeFileSync(join(cwd, 'plain'), plaintext);
  await takesAtMost(mostMebibytes, cwd, 0, 'kms-encrypt', '-i', 'plain', '-o', 'x', '--binary');
  await takesAtMost(mostWhole, cwd, 0, 'kms-decrypt', '-i', 'x', '-o', 'json', '--json');
  const json = readFileSync(join(cwd, 'json'));
  assert.match(json.toString('latin1', 0, 60), /"message":"\\u0001\\u0001\\u/);
  assert.ok(json.length > 6 * plaintext.length);
});

test('a longer message is too long for --json', async () => {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, 'plain'), Buffer.alloc(64 * mebibyte + 1));
  const args = ['-u', 'alice', '-k', 'local', '-i', 'plain', '-o', 'out'];
  const failure = await failureOf('kms-encrypt', args, { cwd, home: cwd });
  assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
  assert.equal(failure.message, 'The message is longer than 64 MiB, too long for --json.');
  assert.equal(failure.hint, 'Leave out --json.');
  assert.ok(!existsSync(join(cwd, 'out')));
});

test('JSON that is nothing but brackets, objects or escapes', { timeout: 180_000 }, async () => {
  const cwd = temporaryFolder();
  const million = 10 ** 6;
  for (const json of [
    ['['.repeat(30 * million), ']'.repeat(30 * million)],
    ['[', '{},'.repeat(20 * million), '1]'],
    ['"', '\\u0041'.repeat(10 * million), '"'],
  ]) {
    writeFileSync(join(cwd, 'json'), ['{"ciphertext":', ...json, '}'].join(''));
    await takesAtMost(mostWhole, cwd, 3, 'kms-decrypt', '-i', 'json');
  }
});

test('long lines of a batch', { timeout: 180_000 }, async () => {
  const cwd = temporaryFolder();
  const long = 15 * mebibyte;
  const lines = {
    text: `{"message":"${'a'.repeat(long)}"}`,
    emoji: `{"message":"${'\u{1f600}'.repeat(long / 4)}"}`,
    fields: `{${'"user":1,'.repeat(long / 9)}"message":"x"}`,
  };
  for (const [name, line] of Object.entries(lines)) {
    writeFileSync(join(cwd, 'plain'), `${line}\n`);
    const status = name === 'fields' ? 2 : 0;
    await takesAtMost(mostWhole, cwd, status, 'kms-encrypt', '--batch', '-i', 'plain', '-o', 'x');
    if (status !== 0) continue;
    await takesAtMost(mostWhole, cwd, 0, 'kms-decrypt', '--batch', '-i', 'x', '-o', 'back');
    assert.ok(readFileSync(join(cwd, 'back')).equals(readFileSync(join(cwd, 'plain'))), name);
    const to = ['--to-key', 'local:new', '-i', 'x', '-o', 'x'];
    await takesAtMost(mostWhole, cwd, 0, 'kms-reencrypt', '--batch', ...to);
  }
});
