/**
 * Makes the code cache in dist/ (see src/bin/code-cache.ts), for the Node that runs this: runs the
 * commands as people do, with a home folder of their own, and keeps what they leave in its cache. The
 * KMS that they call is a stand-in on this machine.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath, platform } from 'node:process';
import { text } from 'node:stream/consumers';

const keyArn = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const blob = Buffer.concat([Buffer.from('0102020078', 'hex'), Buffer.alloc(150, 1)]);
const message = 'this is a secret';
const lines = `${JSON.stringify({ user: 'alice', message })}\n`;

/**
 * In this order, since a function is only in the cache if the first run that loads its part calls
 * it: what should start fastest comes first. A run may use the output of the one before it.
 */
const runs: readonly (readonly [command: string, args: string, input?: string])[] = [
  ['kms-encrypt', '-u alice', message],
  ['kms-decrypt', '-u alice', blob.toString('base64')],
  ['kms-encrypt', '-u alice -k local', message],
  ['kms-decrypt', '-u alice -k local'],
  ['kms-encrypt', '--batch -k local', lines],
  ['kms-decrypt', '--batch -k local'],
  ['kms-encrypt', '-u alice -k local', message],
  ['kms-reencrypt', '-u alice -k local --to-key local:other.key'],
  ['kms-doctor', '-k local'],
];

/** A failure only costs time when the commands start, so it is reported and not thrown. */
export async function makeCodeCache(dist: string): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'kms-poc-build-'));
  const kms = await startKms();
  try {
    const env = {
      HOME: home,
      KEY_ID: keyArn,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'any',
      AWS_SECRET_ACCESS_KEY: 'any',
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(kms.address() as AddressInfo).port}`,
    };
    let output = '';
    for (const [command, args, input = output] of runs) {
      const start = ['--', join(dist, `${command}.js`), ...args.split(' ')];
      const child = spawn(execPath, start, { env, cwd: home, stdio: 'pipe' });
      child.stdin.end(input);
      const ended = new Promise((resolve) => child.on('close', resolve));
      const errors = text(child.stderr);
      output = await text(child.stdout);
      if ((await ended) !== 0) throw new Error(`${command} ${args}: ${await errors}`);
    }
    const caches = join(home, platform === 'darwin' ? 'Library/Caches' : '.cache');
    const made = join(caches, 'kms-poc', 'code-cache');
    const folder = join(dist, 'code-cache');
    mkdirSync(folder);
    for (const name of readdirSync(made)) {
      // Not moved: it has mode 0600, and others may run these commands too, but not write to them.
      writeFileSync(join(folder, name), readFileSync(join(made, name)), { mode: 0o644 });
    }
  } catch (error) {
    console.error('The code cache could not be made, so the commands start more slowly.', error);
  } finally {
    kms.close();
    rmSync(home, { recursive: true });
  }
}

/** Answers every request with the same blob and message. */
async function startKms(): Promise<Server> {
  const answer = {
    KeyId: keyArn,
    CiphertextBlob: blob.toString('base64'),
    Plaintext: Buffer.from(message).toString('base64'),
  };
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/x-amz-json-1.1');
    response.end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
