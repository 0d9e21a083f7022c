/**
 * Runs programs as a user would, with an environment created from scratch: a real `.env`, profile,
 * credential or local key of whoever runs the tests never gets in.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const distFolder = join(import.meta.dirname, '..', '..', 'dist');
const commands = ['kms-encrypt', 'kms-decrypt', 'kms-reencrypt', 'kms-doctor', 'kms-deploy'];

export type Environment = Record<string, string | undefined>;

export interface Surroundings {
  /** Added to the environment; `undefined` removes a name. */
  env?: Environment | undefined;
  /** The home folder, with the data and cache folders in it; by default a new one. */
  home?: string | undefined;
  /** The current folder; by default a new one. */
  cwd?: string | undefined;
}

export interface Finished {
  /** The exit status, or null if a signal ended the program. */
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
}

const temporaryFolders: string[] = [];
process.on('exit', () => {
  for (const folder of temporaryFolders) rmSync(folder, { recursive: true, force: true });
});

/** @returns the path of a new empty folder, which is removed when the test file ends */
export function temporaryFolder(): string {
  // The real path: on macOS the temporary folder is a symlink, and programs print its target.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'kms-poc-test-')));
  temporaryFolders.push(folder);
  return folder;
}

/**
 * Returns what to start for a program's name: one of the built commands, or any other program as it
 * is.
 */
export function commandLine(program: string, args: string[]): { file: string; args: string[] } {
  if (!commands.includes(program)) return { file: program, args };
  return { file: join(distFolder, `${program}.js`), args };
}

/** Returns the environment and folder that a program runs in. */
export function surroundings({ env = {}, home = temporaryFolder(), cwd }: Surroundings): {
  env: Record<string, string>;
  cwd: string;
} {
  const all: Environment = {
    PATH: process.env.PATH,
    HOME: home,
    XDG_DATA_HOME: join(home, 'data'),
    XDG_CACHE_HOME: join(home, 'cache'),
    XDG_CONFIG_HOME: join(home, 'config'),
    // Without this, a run without credentials spends seconds asking the network for an instance's.
    AWS_EC2_METADATA_DISABLED: 'true',
    ...env,
  };
  const set = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return { env: Object.fromEntries(set), cwd: cwd ?? temporaryFolder() };
}

/**
 * Runs a program to its end, without a terminal.
 *
 * @param program `kms-encrypt` and so on for the built commands, or any other name or path
 * @param options.stdin its whole standard input; empty by default
 * @param options.timeoutMs how long it may take, 30 s by default
 * @throws if it can't be started or takes too long
 */
export function run(
  program: string,
  args: string[],
  {
    stdin = '',
    timeoutMs = 30_000,
    ...options
  }: Surroundings & { stdin?: Uint8Array | string | undefined; timeoutMs?: number } = {},
): Promise<Finished> {
  const { file, args: fileArgs } = commandLine(program, args);
  const child = spawn(file, fileArgs, { ...surroundings(options), stdio: 'pipe' });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program may end without reading all of its input, and that is not a failure of the test.
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);

  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => {
      child.kill('SIGKILL');
      const said = Buffer.concat(stderr).toString();
      reject(new Error(`${program} did not end in ${timeoutMs} ms. It said: ${said}`));
    }, timeoutMs);
    child.on('error', (error) => {
      clearTimeout(deadline);
      reject(error);
    });
    child.on('close', (status, signal) => {
      clearTimeout(deadline);
      resolve({
        status,
        signal,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString(),
      });
    });
  });
}
