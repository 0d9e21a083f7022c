/**
 * How fast the commands encrypt and decrypt a long file, timed as whole processes, compared with a
 * plain node:crypto pipe and the Encryption SDK with its defaults.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { surroundings, temporaryFolder } from '../test/support/command.ts';
import { buildLibrary, command, memoryOfNode, timeLibrary, timeNode } from './programs.ts';
import { measure } from './rounds.ts';
import type { Table } from './table.ts';

const mebibytes = 512;
/** The library with its defaults is so slow that part of the data is enough to measure. */
const partMebibytes = mebibytes / 8;
const rounds = 5;

const plainProgram = join(import.meta.dirname, 'plain-stream.js');

export async function benchStreams(): Promise<Table> {
  const folder = temporaryFolder();
  const { env } = surroundings({ home: folder });
  const library = await buildLibrary(folder);
  const whole = join(folder, 'whole');
  const part = join(folder, 'part');
  writeRandom(whole, mebibytes);
  writeRandom(part, partMebibytes);

  const encrypt = command('kms-encrypt', ['-u', 'alice', '-k', 'local', '--binary', '-i', whole]);
  const decrypt = command('kms-decrypt', ['-u', 'alice', '-k', 'local', '-i', `${whole}.ours`]);
  const intoFile = async (
    file: string,
    run: (output: number) => Promise<number>,
  ): Promise<void> => {
    const output = openSync(file, 'w');
    await run(output);
    closeSync(output);
  };
  await intoFile(`${whole}.encrypted`, (output) =>
    timeNode([plainProgram, 'encrypt', whole], { env, output }),
  );
  await intoFile(`${whole}.ours`, (output) => timeNode(encrypt, { env, output }));
  await intoFile(`${part}.library`, (output) =>
    timeLibrary(library, ['stream-encrypt', part], { env, output }),
  );

  const times = await measure(
    {
      plainEncrypt: () => timeNode([plainProgram, 'encrypt', whole], { env }),
      encrypt: () => timeNode(encrypt, { env }),
      libraryEncrypt: () => timeLibrary(library, ['stream-encrypt', part], { env }),
      plainDecrypt: () => timeNode([plainProgram, 'decrypt', `${whole}.encrypted`], { env }),
      decrypt: () => timeNode(decrypt, { env }),
      libraryDecrypt: () => timeLibrary(library, ['stream-decrypt', `${part}.library`], { env }),
    },
    rounds,
  );
  const memory = Math.max(
    await memoryOfNode(encrypt, { env }),
    await memoryOfNode(decrypt, { env }),
  );

  const row = (name: string, size: number, encryptMs: number, decryptMs: number): string[] => [
    name,
    ...columns(
      size / encryptMs,
      mebibytes / times.plainEncrypt,
      partMebibytes / times.libraryEncrypt,
    ),
    ...columns(
      size / decryptMs,
      mebibytes / times.plainDecrypt,
      partMebibytes / times.libraryDecrypt,
    ),
  ];
  return {
    title: `A file of ${mebibytes} MiB with a local key, whole process, which takes ${memory.toFixed(0)} MiB of memory:`,
    head: [
      '',
      ...['encrypting, MiB/s', 'x plain', 'x SDK'],
      ...['decrypting, MiB/s', 'x plain', 'x SDK'],
    ],
    rows: [
      row('plain `node:crypto` AES-256-GCM', mebibytes, times.plainEncrypt, times.plainDecrypt),
      row('the commands', mebibytes, times.encrypt, times.decrypt),
      row(
        'Encryption SDK, its defaults',
        partMebibytes,
        times.libraryEncrypt,
        times.libraryDecrypt,
      ),
    ],
  };
}

/** @param speed in mebibytes per millisecond, like the others */
const columns = (speed: number, plain: number, library: number): string[] => [
  (speed * 1000).toFixed(0),
  (speed / plain).toFixed(2),
  (speed / library).toFixed(1),
];

function writeRandom(file: string, size: number): void {
  const bytes = randomFillSync(new Uint8Array(2 ** 20));
  const descriptor = openSync(file, 'w');
  for (let index = 0; index < size; index += 1) writeSync(descriptor, bytes);
  closeSync(descriptor);
}
