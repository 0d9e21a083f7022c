import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';

import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';

const projectFolder = join(import.meta.dirname, '..', '..');

// The project's own rules, without those that need types, because a probe is not part of a project.
const eslint = new ESLint({
  cwd: projectFolder,
  overrideConfig: [{ files: ['**/*.ts'], ...tseslint.configs.disableTypeChecked }],
});

/** @returns the rules that a file with that name and text breaks */
async function brokenRules(filePath: string, text: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(text, { filePath: join(projectFolder, filePath) });
  assert.ok(result, 'the linter looked at the probe');
  return result.messages.map(({ ruleId, message }) => ruleId ?? message);
}

const refused: [why: string, file: string, text: string, rule: string][] = [
  [
    'standard error below cli',
    'src/keys/probe.ts',
    "import { stderr } from 'node:process';\nstderr.write('');\n",
    'house/fence',
  ],
  [
    'formats that know KMS',
    'src/formats/probe.ts',
    "export { connectKms } from '../kms/kms.ts';\n",
    'house/fence',
  ],
  [
    'a file in no layer',
    'src/probe.ts',
    "import { run } from './cli/run.ts';\nexport const it = run;\n",
    'house/fence',
  ],
  [
    'an import inside a function',
    'src/envelope/probe.ts',
    "export const late = () => import('../messages/decrypt.ts');\n",
    'house/fence',
  ],
  [
    'a type alone',
    'src/streams/probe.ts',
    "export type Kms = import('../kms/kms.ts').Kms;\n",
    'house/fence',
  ],
  [
    'an import of all, and on',
    'src/kms/probe.ts',
    "export * from '../keys/rsa-key.ts';\n",
    'house/fence',
  ],
  ['errors that know a layer', 'src/errors.ts', "import './streams/in-order.ts';\n", 'house/fence'],
  ['the process as a global', 'src/doctor/probe.ts', 'process.cwd();\n', 'no-restricted-globals'],
  [
    'the process behind globalThis',
    'src/messages/probe.ts',
    'globalThis.process.cwd();\n',
    'no-restricted-globals',
  ],
  [
    'an exit elsewhere than in run.ts',
    'src/cli/commands/probe.ts',
    "import process from 'node:process';\nprocess.exitCode = 1;\n",
    'no-restricted-properties',
  ],
  [
    'standard output for a notice',
    'src/cli/terminal/probe.ts',
    "export { stdout } from 'node:process';\n",
    'no-restricted-imports',
  ],
  [
    'standard error for a command',
    'src/cli/commands/probe.ts',
    "export { stderr } from 'node:process';\n",
    'no-restricted-imports',
  ],
  ['the console', 'src/cli/probe.ts', "console.log('');\n", 'no-console'],
  ['yargs below cli', 'src/messages/probe.ts', "export { default } from 'yargs';\n", 'house/fence'],
];

for (const [why, file, text, rule] of refused) {
  test(`the linter refuses ${why}`, async () => {
    assert.deepEqual(await brokenRules(file, text), [rule]);
  });
}

test('the linter lets an import point down', async () => {
  const text = [
    "export { run } from '../cli/run.ts';",
    "export { usageError } from '../errors.ts';",
    "export { inOrder } from '../streams/in-order.ts';",
    "export { env } from 'node:process';",
    '',
  ].join('\n');
  assert.deepEqual(await brokenRules('src/bin/probe.ts', text), []);
});
