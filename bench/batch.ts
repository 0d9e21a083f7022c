/**
 * Many short messages for many users through `--batch`, timed as whole processes, compared with the
 * Encryption SDK's own calls, one message after the other; and how many KMS calls that takes.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { surroundings, temporaryFolder } from '../test/support/command.ts';
import { startFaultProxy } from '../test/support/fault-proxy.ts';
import { startMoto } from '../test/support/moto.ts';
import { buildLibrary, command, timeLibrary, timeNode } from './programs.ts';
import { measure } from './rounds.ts';
import type { Table } from './table.ts';

const messages = 100_000;
/** One by one they are so slow that a small number is enough to measure. */
const libraryMessages = 2000;
const users = 100;
const messageLength = 200;
const rounds = 3;

export async function benchBatch(): Promise<Table> {
  const moto = await startMoto();
  const proxy = await startFaultProxy({ target: moto.endpoint });
  try {
    const { keyArn } = await moto.createKey();
    const folder = temporaryFolder();
    const { env } = surroundings({
      home: folder,
      env: { ...moto.env, AWS_ENDPOINT_URL: proxy.endpoint, USERS: '*' },
    });
    const library = await buildLibrary(folder);
    const plaintexts = join(folder, 'plaintexts');
    const fewPlaintexts = join(folder, 'few-plaintexts');
    writeMessages(plaintexts, messages);
    writeMessages(fewPlaintexts, libraryMessages);

    const into = async (
      name: string,
      run: (output: number) => Promise<number>,
    ): Promise<number> => {
      const output = openSync(join(folder, name), 'w');
      const milliseconds = await run(output);
      closeSync(output);
      return milliseconds;
    };
    const encrypt = (key: string): Promise<number> =>
      into('encrypted', (output) =>
        timeNode(command('kms-encrypt', ['--batch', '-k', key, '-i', plaintexts]), { env, output }),
      );
    const decrypt = (key: string): Promise<number> =>
      into('decrypted', (output) =>
        timeNode(command('kms-decrypt', ['--batch', '-k', key, '-i', join(folder, 'encrypted')]), {
          env,
          output,
        }),
      );
    await encrypt(keyArn);
    const encryptCalls = proxy.count();
    await decrypt(keyArn);
    const decryptCalls = proxy.count() - encryptCalls;

    const times = await measure(
      {
        libraryEncrypt: () =>
          into('few-encrypted', (output) =>
            timeLibrary(library, ['batch-encrypt', fewPlaintexts], { env, output }),
          ),
        libraryDecrypt: () =>
          into('decrypted', (output) =>
            timeLibrary(library, ['batch-decrypt', join(folder, 'few-encrypted')], { env, output }),
          ),
        encrypt: () => encrypt('local'),
        decrypt: () => decrypt('local'),
      },
      rounds,
    );

    const columns = (count: number, ms: number, libraryMs: number): string[] => [
      ((count / ms) * 1000).toFixed(0),
      (count / ms / (libraryMessages / libraryMs)).toFixed(1),
    ];
    const row = (name: string, count: number, encryptMs: number, decryptMs: number): string[] => [
      name,
      ...columns(count, encryptMs, times.libraryEncrypt),
      ...columns(count, decryptMs, times.libraryDecrypt),
    ];
    return {
      title: `${messages.toLocaleString('en')} messages of ${messageLength} bytes for ${users} users, whole process. With an AWS KMS key, encrypting them took ${encryptCalls} calls of KMS, and decrypting ${decryptCalls}; with a local key:`,
      head: ['', 'encrypting, messages/s', 'x SDK', 'decrypting, messages/s', 'x SDK'],
      rows: [
        row('the commands with `--batch`', messages, times.encrypt, times.decrypt),
        row(
          'Encryption SDK, one by one',
          libraryMessages,
          times.libraryEncrypt,
          times.libraryDecrypt,
        ),
      ],
    };
  } finally {
    await proxy.stop();
    await moto.stop();
  }
}

function writeMessages(file: string, count: number): void {
  const lines = Array.from({ length: count }, (_, index) => {
    const message = randomBytes(messageLength / 2).toString('hex');
    return JSON.stringify({ user: `user-${index % users}`, message });
  });
  writeFileSync(file, `${lines.join('\n')}\n`);
}
