/** examples/cron: the line of the crontab, run as cron does. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { type Finished, run, temporaryFolder } from '../support/command.ts';
import { pathWithCommands } from '../support/installed.ts';

const example = join(import.meta.dirname, '..', '..', 'examples', 'cron');
const [, job = assert.fail('there is no job')] =
  /^17 6 \* \* \* (.*)$/m.exec(readFileSync(join(example, 'crontab'), 'utf8')) ?? [];

const home = temporaryFolder();
const folder = join(home, 'kms-poc');
const temporary = temporaryFolder();
const env = { PATH: pathWithCommands(), TMPDIR: temporary };
const cron = (): Promise<Finished> => run('sh', ['-c', job], { cwd: home, home, env });

function useSettings(settings: string): void {
  writeFileSync(join(folder, '.env'), settings, { mode: 0o600 });
}

before(async () => {
  mkdirSync(join(home, 'bin'));
  mkdirSync(folder);
  cpSync(join(example, 'doctor.sh'), join(home, 'bin', 'doctor.sh'));
  useSettings('KEY_ID=local:my.key\n');
  await run('kms-encrypt', ['-u', 'alice'], { cwd: folder, home, stdin: 'makes the key' });
});

test('nothing is said as long as nothing is wrong', async () => {
  const { status, stdout, stderr } = await cron();
  assert.deepEqual([status, stdout.toString(), stderr], [0, '', '']);
  const report = JSON.parse(readFileSync(join(folder, 'doctor.json'), 'utf8')) as { ok: boolean };
  assert.equal(report.ok, true);
});

test('what is wrong is said, with what to do, and all of it is in the report', async () => {
  const key = join(folder, 'my.key');
  renameSync(key, join(folder, 'elsewhere'));
  writeFileSync(key, 'no key', { mode: 0o600 });
  const { status, stdout, stderr } = await cron();
  renameSync(join(folder, 'elsewhere'), key);
  assert.deepEqual([status, stderr], [4, '']);
  const [title = '', ...rest] = stdout.toString().split('\n');
  assert.equal(title, `kms-doctor in ${folder}: status 4`);
  assert.match(rest.join('\n'), /^\n[a-z]+, [^\n]+: [^\n]*my\.key[^\n]*\n[^\n]+\n/);
  const report = JSON.parse(readFileSync(join(folder, 'doctor.json'), 'utf8')) as { ok: boolean };
  assert.equal(report.ok, false);
});

test('settings that stop it at once are reported too', async () => {
  useSettings('KEY_ID=rsa:x.pem#pin\n');
  const { status, stdout, stderr } = await cron();
  assert.deepEqual([status, stderr], [2, '']);
  assert.match(stdout.toString(), /KEY_ID in \.env has a # in it/);
  assert.deepEqual(readdirSync(temporary), []);
});
