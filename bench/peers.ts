/**
 * Other tools on the same work in the same run. None does quite the same: what each lacks or adds is in
 * docs/scale.md.
 */
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { surroundings, temporaryFolder } from '../test/support/command.ts';
import { startMoto } from '../test/support/moto.ts';
import { pythonProgram } from '../test/support/python.ts';
import { command } from './programs.ts';
import { type Case, measure, time } from './rounds.ts';
import type { Table } from './table.ts';

const rounds = 5;
const mebibytes = 256;

export async function benchPeers(): Promise<Table> {
  const moto = await startMoto();
  try {
    const { keyArn } = await moto.createKey();
    const folder = temporaryFolder();
    const { env } = surroundings({ home: folder, env: { ...moto.env, KEY_ID: keyArn } });
    const inFolder = (name: string): string => join(folder, name);
    writeFileSync(inFolder('small'), 'this is a secret');
    const mebibyte = randomFillSync(Buffer.alloc(2 ** 20));
    writeFileSync(inFolder('large'), Buffer.concat(Array<Buffer>(mebibytes).fill(mebibyte)));
    writeFileSync(inFolder('password'), 'a password');

    const node = process.execPath;
    const ours = ['-u', 'alice', '--binary'];
    const local = [...ours, '-k', 'local'];
    const out = ['-o', inFolder('out')];
    const pass = ['-pass', `file:${inFolder('password')}`, '-pbkdf2'];
    const encryptionCli = [
      ...['--encrypt', '--wrapping-keys', `key=${keyArn}`, '--encryption-context', 'user=alice'],
      ...['--algorithm', 'AES_256_GCM_HKDF_SHA512_COMMIT_KEY', '--suppress-metadata', ...out],
      ...['--commitment-policy', 'require-encrypt-require-decrypt', '--frame-length', '1048576'],
    ];
    type Program = (file: string) => readonly [program: string, args: string[]];
    const programs: Record<string, { run: Program; isSmallOnly?: boolean }> = {
      '`kms-encrypt`, AWS KMS key': {
        run: (file) => [node, command('kms-encrypt', [...ours, ...out, '-i', file])],
      },
      '`kms-encrypt`, local key': {
        run: (file) => [node, command('kms-encrypt', [...local, ...out, '-i', file])],
      },
      '`aws kms encrypt`': {
        run: (file) => [
          pythonProgram('aws'),
          [
            ...['kms', 'encrypt', '--key-id', keyArn, '--encryption-context', 'user=alice'],
            ...['--plaintext', `fileb://${file}`],
          ],
        ],
        isSmallOnly: true,
      },
      '`aws-encryption-cli`, AWS KMS key': {
        run: (file) => [pythonProgram('aws-encryption-cli'), [...encryptionCli, '-i', file]],
      },
      '`openssl enc -aes-256-ctr`, password': {
        run: (file) => [
          'openssl',
          ['enc', '-aes-256-ctr', ...pass, '-in', file, '-out', inFolder('out')],
        ],
      },
    };
    const age = findAge(folder);
    if (age !== undefined) {
      const { stderr } = spawnSync(`${age}-keygen`, ['-o', inFolder('age.key')], {
        encoding: 'utf8',
      });
      const recipient =
        /age1\w+/.exec(stderr + readFileSync(inFolder('age.key'), 'utf8'))?.[0] ?? '';
      programs['`age`, X25519 key'] = { run: (file) => [age, ['-r', recipient, ...out, file]] };
    }

    const cases: Record<string, Case> = {};
    for (const [name, { run, isSmallOnly = false }] of Object.entries(programs)) {
      for (const file of isSmallOnly ? ['small'] : ['small', 'large']) {
        const [program, args] = run(inFolder(file));
        cases[file + name] = async () => (await time(program, args, { env })).milliseconds;
      }
    }
    const times = await measure(cases, rounds);
    return {
      title: `Other tools, encrypting into a file, whole process, median of ${rounds} (\`kms-encrypt -o\` waits until it is on the disk):`,
      head: ['', 'a message of 16 bytes, ms', `a file of ${mebibytes} MiB, MiB/s`],
      rows: Object.keys(programs).map((name) => {
        const [small, large] = [times[`small${name}`], times[`large${name}`]];
        const speed = large === undefined ? '' : ((mebibytes / large) * 1000).toFixed(0);
        return [name, (small ?? NaN).toFixed(0), speed];
      }),
    };
  } finally {
    await moto.stop();
  }
}

/** @returns age where it is installed, or else Debian's package of it, unpacked; undefined without */
function findAge(folder: string): string | undefined {
  if (spawnSync('age', ['--version']).status === 0) return 'age';
  spawnSync('apt-get', ['download', 'age'], { cwd: folder });
  const file = readdirSync(folder).find((name) => name.startsWith('age_'));
  if (file !== undefined) spawnSync('dpkg-deb', ['-x', file, '.'], { cwd: folder });
  const program = join(folder, 'usr', 'bin', 'age');
  return existsSync(program) ? program : undefined;
}
