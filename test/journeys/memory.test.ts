/** The memory of whole commands: what passes through must not stay, whichever way it takes. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run, temporaryFolder } from '../support/command.ts';
import { maxRssMebibytes, tellMaxRss } from '../support/max-rss.ts';

const mebibyte = 2 ** 20;
const length = 256 * mebibyte;
/** README: constant memory. */
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
