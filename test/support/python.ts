/**
 * The Python side of the tests: moto, the AWS CLI, boto3 and AWS's Encryption SDK for Python in the
 * tests' own virtual environment, so that nothing is installed on the machine.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const requirementsFile = join(import.meta.dirname, '..', 'requirements.txt');
/** With hashes, which pip wants for all of a file or for none. */
const hashedRequirementsFile = join(import.meta.dirname, '..', 'requirements-openbao.txt');
const environmentFolder = join(import.meta.dirname, '..', '.venv');
const stampFile = join(environmentFolder, 'made-from');

export type PythonProgram =
  'python' | 'aws' | 'aws-encryption-cli' | 'bao' | 'cfn-lint' | 'shellcheck' | 'shfmt';

/**
 * @returns the path of a program in the environment
 * @throws if the environment has not been created
 */
export function pythonProgram(name: PythonProgram): string {
  const path = join(environmentFolder, 'bin', name);
  // Without the stamp an install was interrupted, and what is there may be half a package.
  if (!existsSync(stampFile) || !existsSync(path)) {
    throw new Error(`The tests' Python environment is not there. Make it by: npm test`);
  }
  return path;
}

/**
 * Creates the environment, unless it exists and was created from these requirements and this
 * Python.
 *
 * @param say called with a line about what is going to take time
 * @throws with a line for the user if Python, its venv module or the packages are not available
 */
export function ensurePythonEnvironment(say: (line: string) => void): void {
  const hash = createHash('sha256');
  for (const file of [requirementsFile, hashedRequirementsFile]) hash.update(readFileSync(file));
  const stamp = `${hash.digest('hex')} ${pythonVersion()}\n`;
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;

  say('Making a Python environment for the tests, once; this takes a minute ...');
  rmSync(environmentFolder, { recursive: true, force: true });
  if (!succeeds('python3', ['-m', 'venv', environmentFolder])) {
    throw new Error(
      "The tests need Python's venv module (Debian and Ubuntu: apt install python3-venv).",
    );
  }
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  for (const file of [requirementsFile, hashedRequirementsFile]) {
    if (!succeeds(join(environmentFolder, 'bin', 'python'), [...install, '-r', file])) {
      throw new Error(`pip could not install ${file}; what it said is above.`);
    }
  }
  // Written last, so that an interrupted install is done again.
  writeFileSync(stampFile, stamp);
}

/** @returns a version such as `3.11`; an environment stops working when its Python changes */
function pythonVersion(): string {
  const asked = spawnSync(
    'python3',
    ['-c', 'import sys; print(*sys.version_info[:2], sep=".", end="")'],
    { encoding: 'utf8' },
  );
  if (asked.error !== undefined || asked.status !== 0) {
    throw new Error('The tests need Python 3.10 or newer: there is no working python3.');
  }
  const [major = 0, minor = 0] = asked.stdout.split('.').map(Number);
  if (major !== 3 || minor < 10) {
    throw new Error(`The tests need Python 3.10 or newer: python3 is ${asked.stdout}.`);
  }
  return asked.stdout;
}

/** Runs a program. What it prints goes to standard error, because it explains a failure. */
function succeeds(program: string, args: string[]): boolean {
  return spawnSync(program, args, { stdio: ['ignore', 2, 2] }).status === 0;
}
