import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from './command.ts';

test('bytes go in and come out as they are', async () => {
  const stdin = Uint8Array.from({ length: 1_000_000 }, (_, index) => index % 256);
  const { status, stdout, stderr } = await run('cat', [], { stdin });
  assert.deepEqual([status, stderr], [0, '']);
  assert.ok(stdout.equals(stdin));
});

test('a program sees nothing of the environment that the tests run in', async () => {
  process.env.KEY_ID = 'alias/of-whoever-runs-the-tests';
  const { stdout } = await run('env', [], {
    env: { USERS: 'alice', AWS_EC2_METADATA_DISABLED: undefined },
  });
  const names = stdout
    .toString()
    .trim()
    .split('\n')
    .map((line) => line.split('=')[0]);
  assert.deepEqual(names.sort(), [
    'HOME',
    'PATH',
    'USERS',
    'XDG_CACHE_HOME',
    'XDG_CONFIG_HOME',
    'XDG_DATA_HOME',
  ]);
});

test('a program that does not end is killed, and what it printed is reported', async () => {
  await assert.rejects(
    run('sh', ['-c', 'echo stuck >&2; exec tail -f /dev/null'], { timeoutMs: 500 }),
    /did not end in 500 ms\. It said: stuck/,
  );
});
