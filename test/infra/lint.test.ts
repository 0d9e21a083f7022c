/** The linters for the templates and the shell scripts find nothing at all. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../support/command.ts';
import { pythonProgram } from '../support/python.ts';
import { readTemplate } from '../support/template.ts';

const projectFolder = join(import.meta.dirname, '..', '..');
const templates = ['infra/kms.yml', 'infra/replica.yml'];
const scripts = ['deploy.sh', 'examples/cron/doctor.sh', 'examples/secrets/secrets.sh'];

async function findsNothing(
  program: 'cfn-lint' | 'shellcheck' | 'shfmt',
  args: string[],
): Promise<void> {
  const finished = await run(pythonProgram(program), args, { cwd: projectFolder });
  assert.equal(`${finished.stdout.toString()}${finished.stderr}`, '');
  assert.equal(finished.status, 0);
}

test('cfn-lint finds nothing in the templates, not even informational notes', () =>
  findsNothing('cfn-lint', ['--include-checks', 'I', '--', ...templates]));

test('shellcheck finds nothing in the scripts', () => findsNothing('shellcheck', scripts));

test('the scripts are formatted as shfmt does', () =>
  findsNothing('shfmt', ['-d', '-i', '2', '-ci', ...scripts]));

test('the templates are ASCII, which every AWS CLI and locale can read', () => {
  for (const template of templates) {
    assert.match(readFileSync(join(projectFolder, template), 'utf8'), /^[\n\x20-\x7e]*$/, template);
  }
});

test('the replica has the same key policy as the key', () => {
  for (const UserIs of ['AllowedUsers', 'AwsUserName', 'PrincipalTag']) {
    const parameters = { UserIs, AllowedUsers: 'alice,carol' };
    const key = readTemplate('kms.yml', { parameters }).resources.theKey;
    const replica = readTemplate('replica.yml', {
      parameters: { ...parameters, PrimaryKeyArn: 'arn' },
    }).resources.theReplicaKey;
    assert.deepEqual(replica?.properties.KeyPolicy, key?.properties.KeyPolicy);
  }
});
