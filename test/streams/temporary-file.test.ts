import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { removeLeftovers, syncFolder, temporaryName } from '../../src/streams/temporary-file.ts';
import { run, temporaryFolder } from '../support/command.ts';

/** The parts of a name that this process would make. */
function ownParts(): { place: string; boot: string; pid: string; start: string } {
  const [, place = '', boot = '', pid = '', start = ''] =
    /^\.kms-poc-([0-9a-f]{8})-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}\.tmp$/.exec(temporaryName()) ??
    [];
  return { place, boot, pid, start };
}

test('a temporary name is short, new each time, and says whose it is', () => {
  const { pid, start } = ownParts();
  assert.equal(pid, String(process.pid));
  assert.ok(Number(start) > 0);
  assert.ok(temporaryName().length < 80);
  assert.notEqual(temporaryName(), temporaryName());
});

test('only the files of dead processes are removed', async () => {
  const { place, boot, pid, start } = ownParts();
  const dead = (await run('sh', ['-c', 'echo $$'])).stdout.toString().trim();
  const living = spawn('sleep', ['60']);
  const startOf = (each: number): string =>
    readFileSync(`/proc/${each}/stat`, 'latin1').split(') ')[1]?.split(' ')[19] ?? '';
  const name = (...parts: (string | number)[]): string =>
    `.kms-poc-${parts.join('-')}-01234567.tmp`;
  const kept = [
    name(place, boot, pid, start), // this process
    name(place, boot, living.pid ?? 0, startOf(living.pid ?? 0)),
    name('11111111', boot, dead, '1'), // another container, or machine
    name('11111111', '22222222', 1, 1),
    name('00000000', '00000000', 0, 0), // made where nothing is known
    '.kms-poc-something.tmp',
    `.out.${dead}.0123456789ab.tmp`, // not ours
    'local.key',
  ];
  const removed = [
    name(place, boot, dead, '1'),
    name(place, boot, living.pid ?? 0, '1'), // the pid is used again
    name(place, '22222222', pid, start), // before the machine was started again
  ];
  const folder = temporaryFolder();
  for (const each of [...kept, ...removed]) writeFileSync(join(folder, each), '');
  await removeLeftovers(folder);
  living.kill();
  assert.deepEqual(readdirSync(folder).sort(), kept.sort());
});

test('a folder that is not there, or can’t be read, is no error', async () => {
  const none = join(temporaryFolder(), 'none');
  await removeLeftovers(none);
  await syncFolder(none);
});
