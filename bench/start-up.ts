/**
 * What one message feels like: whole processes, from their start to their end, in turn.
 *
 * The floor is the same KMS request, signed by hand over node:http, without any package.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { temporaryFolder } from '../test/support/command.ts';
import { startMoto } from '../test/support/moto.ts';
import { pythonProgram } from '../test/support/python.ts';
import { median, type Table } from './table.ts';

const message = 'this is a secret';

export async function benchStartUp(rounds = 21): Promise<Table> {
  const moto = await startMoto();
  try {
    const { keyArn } = await moto.createKey();
    const home = temporaryFolder();
    const plaintextFile = join(home, 'plaintext');
    writeFileSync(plaintextFile, message);
    const env = {
      PATH: process.env.PATH,
      HOME: home,
      ...moto.env,
      KEY_ID: keyArn,
      AWS_EC2_METADATA_DISABLED: 'true',
    };
    const command = join(import.meta.dirname, '..', 'dist', 'kms-encrypt.js');
    const floor = join(import.meta.dirname, 'hand-signed-request.js');
    const cases: [name: string, file: string, args: string[]][] = [
      ['`node -e 0`', process.execPath, ['-e', '0']],
      ['hand-signed request, no package (floor)', process.execPath, [floor]],
      ['`kms-encrypt`, AWS KMS', process.execPath, [command, '-q', '-u', 'alice']],
      ['`kms-encrypt`, local key', process.execPath, [command, '-q', '-u', 'alice', '-k', 'local']],
      [
        '`aws kms encrypt`',
        pythonProgram('aws'),
        [
          ...['kms', 'encrypt', '--key-id', keyArn, '--plaintext', `fileb://${plaintextFile}`],
          ...['--encryption-context', 'user=alice'],
        ],
      ],
    ];
    const times = new Map<string, number[]>(cases.map(([name]) => [name, []]));
    // Round 0 fills the compile cache and makes the local key, and isn't counted.
    for (let round = 0; round <= rounds; round++) {
      for (const [name, file, args] of cases) {
        const start = performance.now();
        const { status, stderr } = spawnSync(file, args, { env, input: message });
        const milliseconds = performance.now() - start;
        if (status !== 0) throw new Error(`${name} failed: ${stderr.toString()}`);
        if (round > 0) times.get(name)?.push(milliseconds);
      }
    }
    const medians = cases.map(([name]) => [name, median(times.get(name) ?? [])] as const);
    const floorTime = medians[1]?.[1] ?? NaN;
    const cliTime = medians.at(-1)?.[1] ?? NaN;
    return {
      title: `Start-up: one message, whole process, Node ${process.versions.node}, median of ${rounds}`,
      head: ['', 'ms', 'x floor', 'AWS CLI x'],
      rows: medians.map(([name, ms]) => [
        name,
        ms.toFixed(0),
        (ms / floorTime).toFixed(2),
        (cliTime / ms).toFixed(1),
      ]),
    };
  } finally {
    await moto.stop();
  }
}
