/** No home folder, as in a container: only the default local key needs one, and says so. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { type Environment, run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { awsError, startFaultProxy } from '../support/fault-proxy.ts';

/**
 * What Node does for a user who is not in /etc/passwd. Nobody but root can become one, so this is
 * done to Node instead.
 */
const unknownUser = `import os from 'node:os';
import { syncBuiltinESMExports } from 'node:module';
os.homedir = () => { throw new Error('ENOENT'); };
syncBuiltinESMExports();`;

const homes: readonly (readonly [string, Environment])[] = [
  ['an empty HOME', { HOME: '' }],
  ['a relative HOME', { HOME: 'home' }],
  [
    'no HOME and an unknown user',
    {
      HOME: undefined,
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(unknownUser)}`,
    },
  ],
];

for (const [name, home] of homes) {
  const env = { ...home, XDG_DATA_HOME: undefined, XDG_CACHE_HOME: undefined };
  describe(name, () => {
    test('--help and --version', async () => {
      for (const option of ['--help', '--version']) {
        const { status, stderr } = await run('kms-encrypt', [option], { env });
        assert.deepEqual([status, stderr], [0, '']);
      }
    });

    test('the default local key is refused, before anything is written', async () => {
      const cwd = temporaryFolder();
      for (const [command, args] of [
        ['kms-encrypt', ['-k', 'local']],
        ['kms-decrypt', ['-k', 'local']],
        ['kms-reencrypt', ['-k', 'local:k', '--to-key', 'local']],
        ['kms-encrypt', ['-k', 'local:k', '-i', '~/x']],
      ] as const) {
        const failure = await failureOf(command, ['-u', 'alice', ...args], {
          env,
          cwd,
          stdin: 'x',
        });
        assert.deepEqual([failure.status, failure.code], [2, 'Usage']);
        assert.match(failure.message, /HOME is not set/);
      }
      const doctor = await run('kms-doctor', ['-k', 'local'], { env, cwd });
      assert.equal(doctor.status, 2);
      assert.match(doctor.stdout.toString(), /wrong +KEY_ID +There is no home folder/);
      assert.deepEqual(readdirSync(cwd), []);
    });

    test('a local key with a name works', async () => {
      const cwd = temporaryFolder();
      const args = ['-q', '-u', 'alice', '-k', 'local:key'];
      const { stdout } = await run('kms-encrypt', args, { env, cwd, stdin: 'secret' });
      const back = await run('kms-decrypt', args, { env, cwd, stdin: stdout });
      assert.deepEqual([back.status, back.stdout.toString(), back.stderr], [0, 'secret', '']);
    });

    test('AWS is asked with the credentials of the environment, not of the folder', async () => {
      const proxy = await startFaultProxy({ target: 'http://127.0.0.1:1' });
      const cwd = temporaryFolder();
      // Planted: without a home folder the AWS SDK would look here.
      await run('mkdir', ['.aws', 'home'], { cwd });
      await run('mkdir', ['home/.aws'], { cwd });
      for (const folder of ['.aws', 'home/.aws']) {
        writeFileSync(join(cwd, folder, 'config'), '[default]\nregion = xx-planted-1\n');
        const keys = 'aws_access_key_id = AKIAPLANTED\naws_secret_access_key = planted\n';
        writeFileSync(join(cwd, folder, 'credentials'), `[default]\n${keys}`);
      }
      const aws = { ...env, AWS_ENDPOINT_URL: proxy.endpoint };
      const args = ['-u', 'alice', '-k', 'alias/x'];
      const noRegion = await failureOf('kms-encrypt', args, { env: aws, cwd, stdin: 'x' });
      assert.deepEqual([noRegion.status, noRegion.message], [2, 'No AWS Region is set.']);
      const inRegion = { ...aws, AWS_REGION: 'eu-central-1' };
      const none = await failureOf('kms-encrypt', args, { env: inRegion, cwd, stdin: 'x' });
      assert.deepEqual([none.status, none.code], [4, 'Credentials']);
      proxy.fault(awsError('NotFoundException', 400));
      const own = { AWS_ACCESS_KEY_ID: 'AKIAOWN', AWS_SECRET_ACCESS_KEY: 'own' };
      const asked = await failureOf('kms-encrypt', args, {
        ...{ env: { ...inRegion, ...own }, cwd, stdin: 'x' },
      });
      assert.deepEqual([asked.status, asked.code], [4, 'KeyNotFound']);
      await proxy.stop();
    });
  });
}
