/**
 * The fence between the layers of src/: an ESLint rule that reads one list. The linter, the test
 * that tries to climb over the fence and the picture in CONTRIBUTING.md all use this list.
 */
import { dirname, join, relative, sep } from 'node:path';

const source = join(import.meta.dirname, '..', 'src');

/** From the top down. A layer may import itself and those after it, never one before it. */
export const layers = [
  'bin',
  'cli',
  'deploy',
  'doctor',
  'messages',
  'keys',
  'envelope',
  'vault',
  'kms',
  'formats',
  'streams',
];

/** Files outside the layers, which all of them may import. */
export const sharedFiles = ['errors.ts', 'events.ts'];

/** Only `cli` and what starts it may touch the process and the terminal, or read `.env`. */
export const layersBelowCli = layers.slice(layers.indexOf('cli') + 1);

const modulesOfCli = new Set(
  ['process', 'console', 'tty', 'readline', 'readline/promises']
    .flatMap((name) => [name, `node:${name}`])
    .concat('prompts', 'yargs', 'dotenv'),
);

/** @returns the parts of the path below src/; undefined for a file somewhere else */
function placeOf(path) {
  const parts = relative(source, path).split(sep);
  return parts[0] === '..' ? undefined : parts;
}

/** @type {import('eslint').Rule.RuleModule} */
const rule = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const [own, ...rest] = placeOf(context.filename) ?? [];
    if (own === undefined) return {};
    const isShared = rest.length === 0 && sharedFiles.includes(own);
    const ownIndex = isShared ? layers.length : layers.indexOf(own);

    const check = (node) => {
      if (node?.type !== 'Literal' || typeof node.value !== 'string') return;
      const name = node.value;
      const report = (message) => {
        context.report({ node, message });
      };
      if (!name.startsWith('.')) {
        if (ownIndex > layers.indexOf('cli') && modulesOfCli.has(name)) {
          report(`Only src/cli touches ${name}.`);
        }
        return;
      }
      const [target, ...targetRest] = placeOf(join(dirname(context.filename), name)) ?? [];
      if (target === undefined) return;
      if (targetRest.length === 0 && sharedFiles.includes(target)) return;
      if (layers.indexOf(target) < ownIndex) {
        report(`An import never points back up: ${own} is below ${target}.`);
      }
    };
    return {
      Program: (node) => {
        if (ownIndex < 0) {
          context.report({
            node,
            message: `${own} is in no layer: they are ${layers.join(', ')}.`,
          });
        }
      },
      ImportDeclaration: (node) => {
        check(node.source);
      },
      ExportAllDeclaration: (node) => {
        check(node.source);
      },
      ExportNamedDeclaration: (node) => {
        check(node.source);
      },
      ImportExpression: (node) => {
        check(node.source);
      },
      TSImportType: (node) => {
        check(node.source);
      },
    };
  },
};

/** Forbids importing names from node:process. */
const notFromProcess = (names, message) => ({
  'no-restricted-imports': [
    'error',
    { paths: [{ name: 'node:process', importNames: names, message }] },
  ],
});

const oneExit = 'Only src/cli/run.ts ends the process: a command returns its exit status.';
const onePayload = 'Only src/cli/payload/output.ts writes to standard output.';
const oneVoice = 'Only src/cli/terminal/ writes to standard error.';

/** For eslint.config.js. */
export const fence = [
  {
    files: ['src/**'],
    plugins: { house: { rules: { fence: rule } } },
    rules: { 'house/fence': 'error', 'no-console': 'error' },
  },
  {
    files: layersBelowCli.map((layer) => `src/${layer}/**`).concat('src/*.ts'),
    rules: {
      'no-restricted-globals': [
        'error',
        { globals: ['process', 'console'], checkGlobalObject: true },
      ],
    },
  },
  {
    files: ['src/cli/**'],
    rules: notFromProcess(['stdout', 'stderr'], `${onePayload} ${oneVoice}`),
  },
  { files: ['src/cli/terminal/**'], rules: notFromProcess(['stdout'], onePayload) },
  { files: ['src/cli/payload/output.ts'], rules: notFromProcess(['stderr'], oneVoice) },
  {
    files: ['src/**'],
    ignores: ['src/cli/run.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        ...['abort', 'exit', 'exitCode', 'reallyExit'].map((property) => ({
          object: 'process',
          property,
          message: oneExit,
        })),
      ],
    },
  },
];
