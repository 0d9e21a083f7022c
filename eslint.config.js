import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Data flows one way: cli → commands → keys → envelope, kms → formats, errors.
// An import that points back up makes a circle nobody can read in one go.
const forbidImportsFrom = (...folders) => ({
  'no-restricted-imports': [
    'error',
    {
      patterns: folders.map((folder) => ({
        group: [`**/${folder}`, `**/${folder}/**`],
        message: `Imports never point back up to ${folder}.`,
      })),
    },
  ],
});

export default defineConfig(
  globalIgnores(['dist', '**/.venv']),
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    // Only src/cli touches the process, the console and the terminal.
    files: ['src/**'],
    ignores: ['src/cli/**'],
    rules: {
      'no-console': 'error',
      'no-restricted-globals': ['error', 'process'],
    },
  },
  {
    files: ['src/commands/**'],
    rules: forbidImportsFrom('cli'),
  },
  {
    files: ['src/keys/**'],
    rules: forbidImportsFrom('cli', 'commands'),
  },
  {
    files: [
      'src/envelope/**',
      'src/kms.ts',
      'src/kms-errors.ts',
      'src/kms-fallback.ts',
      'src/kms-key-state.ts',
      'src/identity.ts',
    ],
    rules: forbidImportsFrom('cli', 'commands', 'keys'),
  },
  {
    files: ['src/formats/**', 'src/errors.ts'],
    rules: forbidImportsFrom('cli', 'commands', 'keys', 'envelope', 'kms.ts'),
  },
  {
    files: ['test/**'],
    rules: {
      // node:test's describe and it return promises that the runner awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              name: [
                'test',
                'it',
                'describe',
                'suite',
                'before',
                'after',
                'beforeEach',
                'afterEach',
              ],
              package: 'node:test',
            },
          ],
        },
      ],
    },
  },
  { files: ['**/*.js'], extends: [tseslint.configs.disableTypeChecked] },
);
