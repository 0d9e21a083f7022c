/**
 * `npm test [-- FILE...]`: prepares what the tests need, builds the commands, then runs all tests
 * or the given ones. Exits with the status of the test run.
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

function run(program: string, args: string[], stdout: 'inherit' | 2): number {
  const { status, error } = spawnSync(program, args, {
    cwd: projectFolder,
    stdio: ['ignore', stdout, 'inherit'],
  });
  if (error !== undefined) throw error;
  return status ?? 1;
}

function main(files: string[]): number {
  try {
    ensurePythonEnvironment(say);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return 1;
  }
  const built = run('npm', ['run', '--silent', 'build'], 2);
  if (built !== 0) return built;
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
  );
}

process.exitCode = main(process.argv.slice(2));
