/**
 * Batches for many users, the first message of each: what a data key costs. It must grow in line with
 * the number of users, and all must fit into memory.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { closeSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { surroundings, temporaryFolder } from '../test/support/command.ts';
import { maxRssMebibytes } from '../test/support/max-rss.ts';
import { command } from './programs.ts';
import { time } from './rounds.ts';
import { startStandInKms } from './stand-in-kms.ts';
import type { Table } from './table.ts';

const messageLength = 200;

/** As a command ends, it prints on standard error how much memory and CPU time it took. */
const tellUsage = `import { writeSync } from 'node:fs';
process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  writeSync(2, 'max RSS: ' + maxRSS + ' KiB\\nCPU: ' + (userCPUTime + systemCPUTime) + ' us\\n');
});`;

const sizes = [
  { users: 1000, lines: 1000, isRandom: false },
  { users: 10_000, lines: 10_000, isRandom: false },
  { users: 100_000, lines: 100_000, isRandom: false },
  { users: 20_000, lines: 100_000, isRandom: true },
];

export async function benchScale(): Promise<Table> {
  const kms = await startStandInKms();
  try {
    const folder = temporaryFolder();
    const { env } = surroundings({
      home: folder,
      env: {
        ...kms.env,
        USERS: '*',
        NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(tellUsage)}`,
      },
    });
    const measured = async (
      name: 'kms-encrypt' | 'kms-decrypt',
      input: string,
      output: string,
    ): Promise<string[]> => {
      const file = openSync(output, 'w');
      kms.countCalls();
      const args = command(name, ['--batch', '-i', input]);
      const { stderr } = await time(process.execPath, args, { env, output: file });
      closeSync(file);
      const cpuSeconds = Number(/^CPU: (\d+) us$/m.exec(stderr)?.[1]) / 1e6;
      const calls = kms.countCalls().toLocaleString('en');
      return [calls, cpuSeconds.toFixed(1), maxRssMebibytes(stderr).toFixed(0)];
    };

    const rows: string[][] = [];
    for (const { users, lines, isRandom } of sizes) {
      const input = join(folder, 'plaintexts');
      const encrypted = join(folder, 'encrypted');
      writeFileSync(input, linesFor(users, lines, isRandom));
      const order = isRandom ? ' in random order' : '';
      rows.push([
        `${users.toLocaleString('en')} users, ${lines.toLocaleString('en')} lines${order}`,
        ...(await measured('kms-encrypt', input, encrypted)),
        ...(await measured('kms-decrypt', encrypted, join(folder, 'decrypted'))),
        (statSync(encrypted).size / lines).toFixed(0),
      ]);
    }
    return {
      title: `\`--batch\` with messages of ${messageLength} bytes under an AWS KMS key that only counts, so without waiting for KMS:`,
      head: [
        '',
        ...['encrypting: KMS calls', 'CPU s', 'MiB'],
        ...['decrypting: KMS calls', 'CPU s', 'MiB'],
        'bytes a line',
      ],
      rows,
    };
  } finally {
    kms.stop();
  }
}

const linesFor = (users: number, lines: number, isRandom: boolean): string =>
  Array.from({ length: lines }, (_, index) => {
    const user = `user-${isRandom ? randomInt(users) : index % users}`;
    return `${JSON.stringify({ user, message: randomBytes(messageLength / 2).toString('hex') })}\n`;
  }).join('');
