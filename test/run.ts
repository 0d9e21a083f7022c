/**
 * `npm test [-- [--full] FILE...]`: makes what the tests need, builds the commands, then runs all
 * tests or those given. Exits with the status of the test run.
 *
 * On a terminal slow repetitions are shortened, unless --full is given: see repetitions.ts.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ensurePythonEnvironment } from './support/python.ts';

const projectFolder = join(import.meta.dirname, '..');

/** @returns the test files below a folder, in order; Node 20's test runner doesn't support globs */
function testsIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.name !== '.venv')
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return testsIn(path);
      return entry.name.endsWith('.test.ts') ? [relative(projectFolder, path)] : [];
    })
    .sort();
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function run(
  program: string,
  args: string[],
  stdout: 'inherit' | 2,
  env: NodeJS.ProcessEnv = process.env,
): number {
  const { status, error } = spawnSync(program, args, {
    cwd: projectFolder,
    env,
    stdio: ['ignore', stdout, 'inherit'],
  });
  if (error !== undefined) throw error;
  return status ?? 1;
}

function main(args: string[]): number {
  const files = args.filter((arg) => arg !== '--full');
  const isShort = process.stdout.isTTY && !process.env.CI && !args.includes('--full');
  try {
    ensurePythonEnvironment(say);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return 1;
  }
  const built = run('npm', ['run', '--silent', 'build'], 2);
  if (built !== 0) return built;
  if (files.length === 0) {
    say(
      isShort
        ? 'Running all tests, which takes about 6 minutes on two cores. Slow repetitions are shortened: npm test -- --full runs them all.'
        : 'Running all tests, with every repetition. This takes about 7 minutes on two cores.',
    );
  }
  return run(
    process.execPath,
    [
      '--import',
      'tsx',
      '--test',
      '--test-reporter=spec',
      // Each test file starts its own emulator, so more than two at once would only wait for each
      // other.
      '--test-concurrency=2',
      ...(files.length > 0 ? files : testsIn(import.meta.dirname)),
    ],
    'inherit',
    { ...process.env, TEST_REPETITIONS: isShort ? 'some' : 'all' },
  );
}

process.exitCode = main(process.argv.slice(2));
