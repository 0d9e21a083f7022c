/** What `npm pack` makes of dist/, installed without a registry, and with nothing but Node to run it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { type Finished, run, temporaryFolder } from '../support/command.ts';

const root = join(import.meta.dirname, '..', '..');
const commands = Object.keys(packageJson.bin);

/** The parts of the bundle are any number of files. */
const expectedFiles = [
  'LICENSE',
  'README.md',
  'package.json',
  ...Object.values(packageJson.bin),
  ...packageJson.man,
  'dist/package.json',
  'dist/parts/PART.js',
  'dist/THIRD-PARTY-LICENSES.txt',
  'infra/kms.yml',
  'infra/replica.yml',
];

describe('the package', () => {
  const home = temporaryFolder();
  const prefix = temporaryFolder();
  const installed = join(prefix, 'lib', 'node_modules', packageJson.name);
  let tarball: string;
  let files: string[];

  /** npm's cache is in the new home folder, hence empty: nothing but the tarball can be installed. */
  const npm = async (args: string[], cwd: string): Promise<string> => {
    const finished = await run('npm', [...args, '--offline', '--ignore-scripts'], { home, cwd });
    assert.equal(finished.status, 0, finished.stderr);
    return finished.stdout.toString();
  };

  const runInstalled = (command: string, args: string[], stdin = ''): Promise<Finished> =>
    run(join(prefix, 'bin', command), args, { home, stdin });

  before(async () => {
    const tarballs = temporaryFolder();
    // The commands are built already, so prepare is left out.
    const packed = await npm(['pack', '--json', '--pack-destination', tarballs], root);
    const [{ filename, files: entries }] = JSON.parse(packed) as [
      { filename: string; files: { path: string }[] },
    ];
    files = entries.map(({ path }) => path);
    tarball = join(tarballs, filename);
    await npm(['install', '--global', '--prefix', prefix, tarball], temporaryFolder());
  });

  test('has these files, and no others', () => {
    const kinds = files.map((file) => file.replace(/^(dist\/parts\/)[\w-]+\.js$/, '$1PART.js'));
    assert.deepEqual([...new Set(kinds)].sort(), expectedFiles.sort());
  });

  test('needs no other package', () => {
    for (const kind of ['dependencies', 'optionalDependencies', 'peerDependencies'])
      assert.ok(!(kind in packageJson), kind);
    assert.deepEqual(
      readdirSync(join(prefix, 'lib', 'node_modules')).filter((name) => !name.startsWith('.')),
      [packageJson.name],
    );
    assert.ok(!existsSync(join(installed, 'node_modules')));
  });

  for (const command of commands) {
    test(`installs ${command} and its manual page`, async () => {
      const { status, stdout, stderr } = await runInstalled(command, ['--version']);
      assert.deepEqual([status, stdout.toString(), stderr], [0, `${packageJson.version}\n`, '']);
      const page = join(prefix, 'share', 'man', 'man1', `${command}.1`);
      assert.equal(realpathSync(page), join(installed, 'dist', 'man', `${command}.1`));
      assert.match(readFileSync(page, 'utf8'), /^\.SH NAME\n/m);
    });
  }

  test('installs its commands in a folder, too', async () => {
    const folder = temporaryFolder();
    await npm(['install', '--omit=dev', tarball], folder);
    const bin = join(folder, 'node_modules', '.bin');
    for (const command of commands) {
      const { status, stderr } = await run(join(bin, command), ['--help'], { home });
      assert.deepEqual([status, stderr], [0, '']);
    }
  });

  test('encrypts a message, and decrypts it for its user only', async () => {
    const encrypted = await runInstalled('kms-encrypt', ['-u', 'alice', '-k', 'local'], 'secret');
    assert.equal(encrypted.status, 0, encrypted.stderr);
    const ciphertext = encrypted.stdout.toString();

    const alice = await runInstalled('kms-decrypt', ['-u', 'alice', '-k', 'local'], ciphertext);
    assert.deepEqual([alice.status, alice.stdout.toString()], [0, 'secret'], alice.stderr);

    const bob = await runInstalled('kms-decrypt', ['-u', 'bob', '-k', 'local'], ciphertext);
    assert.deepEqual([bob.status, bob.stdout.length], [3, 0], bob.stderr);
  });

  test('has its own licence, and that of every package in the bundle', () => {
    assert.match(readFileSync(join(installed, 'LICENSE'), 'utf8'), /^MIT License\n/);
    const text = readFileSync(join(installed, 'dist', 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    const [, ...sections] = text.split(`\n${'='.repeat(80)}\n\n`);
    const names = sections.map((section) => {
      const [, name, license] =
        /^(\S+) \d\S* \([^)]+\)\n\n(.+)$/s.exec(section) ?? assert.fail(section.slice(0, 200));
      assert.ok(license !== undefined && license.trim().length > 200, name);
      return name;
    });
    for (const name of ['@aws-sdk/client-kms', '@aws-crypto/decrypt-node', 'dotenv', 'yargs'])
      assert.ok(names.includes(name), name);
  });
});
