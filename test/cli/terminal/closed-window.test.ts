import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  commandLine,
  run,
  type Surroundings,
  surroundings,
  temporaryFolder,
} from '../../support/command.ts';
import { fileWith } from '../../support/file-with.ts';
import { makeRsaPair, writePrivate } from '../../support/rsa-keys.ts';

const passphrase = 'Passphrase for';

/** 128 and the number of SIGHUP. A core dump would come with 134 or 139. */
const endedBySighup = 129;

describe('a window that is closed ends the command by SIGHUP', () => {
  const home = temporaryFolder();
  const cases: [where: string, program: string, args: string[], waitFor: string, keys: string][] = [
    ['at the menu', 'kms-encrypt', [], 'Who are you?', 'b'],
    ['at a message', 'kms-encrypt', ['-u', 'alice'], 'to encrypt: ', 'half a'],
    ['at a hidden message', 'kms-encrypt', ['-u', 'alice', '--hide'], 'to encrypt: ', 'half'],
    ['at a ciphertext', 'kms-decrypt', ['-u', 'alice'], 'to decrypt: ', 'AgR4'],
  ];
  for (const [where, program, args, waitFor, keys] of cases) {
    test(where, async () => {
      assert.equal(await statusAfterClosing(program, args, { home, waitFor, keys }), endedBySighup);
    });
  }

  test('at a user name', async () => {
    const status = await statusAfterClosing('kms-encrypt', [], {
      home,
      env: { USERS: '*' },
      waitFor: 'user name? ',
      keys: 'al',
    });
    assert.equal(status, endedBySighup);
  });

  test('at a passphrase', async () => {
    const folder = temporaryFolder();
    const { publicFile, privateKey } = makeRsaPair(folder, 'a');
    const locked = join(folder, 'locked.pem');
    const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc' } as const;
    writePrivate(locked, privateKey.export({ ...encrypted, passphrase: 'secret' }));
    const input = join(folder, 'input');
    const toRsa = ['-u', 'alice', '-k', `rsa:${publicFile}`];
    writeFileSync(input, (await run('kms-encrypt', toRsa, { home, stdin: 'x' })).stdout);
    const status = await statusAfterClosing(
      'kms-decrypt',
      ['-u', 'alice', '-k', `rsa:${locked}`, '-i', input],
      { home, waitFor: passphrase, keys: 'sec' },
    );
    assert.equal(status, endedBySighup);
  });
});

/**
 * Runs a command in a window of its own, and closes the window.
 *
 * @returns what a shell that survives it sees as the command's exit status
 */
async function statusAfterClosing(
  program: string,
  args: string[],
  { waitFor, keys, ...where }: Surroundings & { waitFor: string; keys: string },
): Promise<number> {
  const folder = temporaryFolder();
  const { file, args: fileArgs } = commandLine(program, args);
  const result = fileWith(folder, 'result', /status .*\n/);
  // The window: as it ends, the kernel hangs up on those who use its terminal.
  const window = spawn(
    process.execPath,
    [
      '-e',
      `const pty = require('@lydell/node-pty').spawn('sh', process.argv.slice(1), {});
       pty.onData((text) => process.stdout.write(text));
       process.stdin.on('data', (keys) => pty.write(String(keys)));`,
      ...['--', '-c'],
      `trap : HUP; "$@"; echo "status $?" > '${join(folder, 'result')}'`,
      ...['sh', file, ...fileArgs],
    ],
    {
      ...surroundings(where),
      cwd: import.meta.dirname, // where node-pty is found
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: 60_000,
    },
  );
  let shown = '';
  const show = async (text: string): Promise<void> => {
    while (!shown.includes(text)) {
      const [more] = (await once(window.stdout, 'data')) as [Buffer];
      shown += more.toString();
    }
  };
  await show(waitFor);
  shown = '';
  window.stdin.write(keys);
  if (!args.includes('--hide') && waitFor !== passphrase) await show(keys);
  window.kill('SIGKILL');
  return Number((await result).slice('status '.length));
}
