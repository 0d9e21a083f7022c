/** The scripts that `--completion` prints, in the shells that they are for. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { shells } from '../../src/cli/options.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { failureOf } from '../support/failure.ts';
import { startOnTerminal } from '../support/pseudo-terminal.ts';

type Shell = (typeof shells)[number];

const cwd = temporaryFolder();
const script = (shell: Shell): string => join(cwd, `completion.${shell}`);

before(async () => {
  for (const shell of shells) {
    const { status, stdout, stderr } = await run('kms-decrypt', ['--completion', shell]);
    assert.deepEqual([status, stderr], [0, '']);
    writeFileSync(script(shell), stdout);
  }
  mkdirSync(join(cwd, 'files'));
  writeFileSync(join(cwd, 'files', 'my secret.b64'), '');
});

/** What is typed, and what is on the line after the Tab key. */
const cases: [string, string][] = [
  ['kms-encrypt --us', 'kms-encrypt --user'],
  ['kms-decrypt --require', 'kms-decrypt --require-signed'],
  ['kms-reencrypt --to', 'kms-reencrypt --to-key'],
  ['kms-doctor --env', 'kms-doctor --env-file'],
  ['kms-decrypt -i files/my', 'kms-decrypt -i files/my\\ secret.b64'],
  ['kms-encrypt --key ali', 'kms-encrypt --key alias/'],
];
/** After what goes on there is no space; after rsa: comes the name of a file. */
const partCases: [string, string][] = [
  ['kms-encrypt --key r\tx', 'kms-encrypt --key rsa:x'],
  ['kms-encrypt --key rsa:files/my', 'kms-encrypt --key rsa:files/my\\ secret.b64'],
];

/** In CI all of them are installed: what isn't there fails. */
const skip = (shell: Shell): string | false =>
  process.env.CI === undefined && spawnSync(shell, ['--version']).error !== undefined
    ? `${shell} is not installed`
    : false;

/** Types into an interactive shell, and waits for what the Tab key makes of it. */
async function completes(program: string, args: string[], setUp: string): Promise<void> {
  const env = { PS1: 'ready> ', HISTFILE: '', ZDOTDIR: cwd };
  const terminal = startOnTerminal(program, args, { cwd, env });
  await terminal.waitFor('ready> ');
  terminal.write(`${setUp}\r`);
  for (const [typed, completed] of [...cases, ...partCases]) {
    terminal.write(`echo done; clear\r`);
    await terminal.waitFor('ready> ');
    terminal.write(`${typed}\t`);
    await terminal.waitFor(completed);
    terminal.write('\x15');
  }
  terminal.write('exit\r');
  await terminal.exit();
}

describe('completion', () => {
  test('in bash', { skip: skip('bash') }, () =>
    completes('bash', ['--norc', '--noprofile', '-i'], `source ${script('bash')}`),
  );

  test('in zsh', { skip: skip('zsh') }, () =>
    completes('zsh', ['-f', '-i'], `autoload -U compinit; compinit -u -D; source ${script('zsh')}`),
  );

  test('in fish', { skip: skip('fish') }, () => {
    for (const [typed, completed] of cases) {
      const command = `source ${script('fish')}; complete -C '${typed}'`;
      const output = execFileSync('fish', ['--no-config', '-c', command], {
        cwd,
        encoding: 'utf8',
      });
      const words = output.split('\n').map((line) => line.replace(/\t[^]*/, ''));
      const last = completed
        .replaceAll('\\', '')
        .split(/ (?=[-af])/)
        .at(-1);
      assert.ok(words.includes(last ?? ''), `${typed}: ${output}`);
    }
  });

  test('not in a shell that is not known', async () => {
    const { status, code, hint } = await failureOf('kms-encrypt', ['--completion', 'tcsh']);
    assert.deepEqual([status, code], [2, 'Usage']);
    assert.equal(hint, 'It takes bash, zsh, fish. See kms-encrypt --help.');
  });
});
