/** Runs deploy.sh as a user would, with the AWS CLI of the tests or a stub in its place. */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Environment, type Finished, run, temporaryFolder } from './command.ts';
import { pythonProgram } from './python.ts';

export const deployScript = join(import.meta.dirname, '..', '..', 'deploy.sh');

/**
 * Creates a folder with nothing but a program called `aws` in it, to be put at the front of PATH.
 */
function folderWithAws(script: string): string {
  const folder = join(temporaryFolder(), 'bin');
  mkdirSync(folder);
  copyFileSync(join(import.meta.dirname, script), join(folder, 'aws'));
  return folder;
}

const onPath = (folder: string): string => `${folder}${delimiter}${process.env.PATH ?? ''}`;

export interface RecordedAws {
  /** For deploy.sh: the real AWS CLI, with each call recorded. */
  env: Record<string, string>;
  /** The arguments of each call so far. */
  calls: () => string[];
}

/** @param awsEnv endpoint, Region and credentials */
export function recordedAws(awsEnv: Record<string, string>): RecordedAws {
  const folder = folderWithAws('aws-recorder.sh');
  const log = join(folder, '..', 'calls');
  return {
    env: {
      ...awsEnv,
      PATH: onPath(folder),
      REAL_AWS: pythonProgram('aws'),
      AWS_CALLS: log,
      TMPDIR: temporaryFolder(),
    },
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []),
  };
}

/** For deploy.sh: a stack that exists and is up to date, made of canned responses. */
export const stubbedAws = (): Record<string, string> => ({
  PATH: onPath(folderWithAws('aws-stub.sh')),
  AWS_REGION: 'eu-central-1',
  TMPDIR: temporaryFolder(),
});

/** Runs deploy.sh without a terminal. */
export const deploy = (
  args: string[],
  options: { cwd: string; env: Environment },
): Promise<Finished> => run(deployScript, args, { ...options, timeoutMs: 90_000 });
