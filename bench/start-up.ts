/**
 * What a single message feels like: whole processes, from start to end.
 *
 * The floor is the same KMS request, signed by hand over node:http, without any package.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { surroundings, temporaryFolder } from '../test/support/command.ts';
import { startMoto } from '../test/support/moto.ts';
import { pythonProgram } from '../test/support/python.ts';
import { command, timeNode } from './programs.ts';
import { measure, time } from './rounds.ts';
import type { Table } from './table.ts';

const rounds = 21;
const input = 'this is a secret';

export async function benchStartUp(): Promise<Table> {
  const moto = await startMoto();
  try {
    const { keyArn } = await moto.createKey();
    const home = temporaryFolder();
    const plaintextFile = join(home, 'plaintext');
    writeFileSync(plaintextFile, input);
    const { env } = surroundings({ home, env: { ...moto.env, KEY_ID: keyArn } });
    const awsCli = [
      ...['kms', 'encrypt', '--key-id', keyArn, '--plaintext', `fileb://${plaintextFile}`],
      ...['--encryption-context', 'user=alice'],
    ];
    const floor = join(import.meta.dirname, 'hand-signed-request.js');
    const node = (args: string[]) => () => timeNode(args, { env, input });
    const times = await measure(
      {
        '`node -e 0`': node(['-e', '0']),
        'hand-signed request, no package (the floor)': node([floor]),
        '`kms-encrypt`, AWS KMS key': node(command('kms-encrypt', ['-u', 'alice'])),
        '`kms-encrypt`, local key': node(command('kms-encrypt', ['-u', 'alice', '-k', 'local'])),
        '`aws kms encrypt`': async () =>
          (await time(pythonProgram('aws'), awsCli, { env, input })).milliseconds,
      },
      rounds,
    );
    return {
      title: `One message, whole process, median of ${rounds}:`,
      head: ['', 'ms', 'x floor', 'x faster than the AWS CLI'],
      rows: Object.entries(times).map(([name, ms]) => [
        name,
        ms.toFixed(0),
        (ms / times['hand-signed request, no package (the floor)']).toFixed(2),
        (times['`aws kms encrypt`'] / ms).toFixed(1),
      ]),
    };
  } finally {
    await moto.stop();
  }
}
