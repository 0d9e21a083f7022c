/** A command of which a file is missing or damaged. */
import assert from 'node:assert/strict';
import { cpSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { run, temporaryFolder } from '../support/command.ts';

const damages: Record<string, (file: string) => void> = {
  missing: rmSync,
  empty: (file) => {
    writeFileSync(file, '');
  },
  'cut off': (file) => {
    truncateSync(file, 5000);
  },
};
for (const [what, damage] of Object.entries(damages)) {
  for (const part of ['start', 'rolldown-runtime']) {
    test(`a ${part} part that is ${what} is said to be damaged, without a stack`, async () => {
      const dist = join(temporaryFolder(), 'dist');
      cpSync(join(import.meta.dirname, '..', '..', 'dist'), dist, { recursive: true });
      damage(join(dist, 'parts', `${part}.js`));
      const { status, stdout, stderr } = await run(join(dist, 'kms-encrypt.js'), ['--version']);
      assert.deepEqual([status, stdout.length], [1, 0]);
      assert.equal(
        stderr,
        'kms-encrypt: a file of this program is missing or damaged.\nhint: Install it again: npm ci\n',
      );
    });
  }
}

test('DEBUG=kms-poc shows where', async () => {
  const dist = join(temporaryFolder(), 'dist');
  cpSync(join(import.meta.dirname, '..', '..', 'dist'), dist, { recursive: true });
  rmSync(join(dist, 'parts', 'start.js'));
  const env = { DEBUG: 'kms-poc' };
  const { status, stderr } = await run(join(dist, 'kms-encrypt.js'), ['--version'], { env });
  assert.equal(status, 1);
  assert.match(stderr, /ENOENT.*start\.js/);
});
