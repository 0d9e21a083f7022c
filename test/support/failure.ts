/** What a failed run must look like, whatever failed. */
import assert from 'node:assert/strict';
import type { CommandName } from '../../src/cli/options.ts';
import { type Finished, run } from './command.ts';

export interface Failure {
  status: number | null;
  code: string;
  message: string;
  hint: string | undefined;
  /** What else was printed on standard error, without the command's name in front. */
  notices: string[];
}

type Options = NonNullable<Parameters<typeof run>[2]>;

/** Runs a command that must fail, with --json, and reads its error. */
export async function failureOf(
  command: CommandName,
  args: string[],
  options: Options = {},
): Promise<Failure> {
  return readFailure(await run(command, [...args, '--json'], options));
}

/** Checks what is true of every failure, and reads the error of a run with --json. */
export function readFailure(finished: Finished): Failure {
  const { status, stdout, stderr } = finished;
  assert.notEqual(status, 0, 'the command was to fail');
  assert.equal(stdout.toString(), '', 'a failure puts nothing on standard output');
  const lines = stderr.split('\n');
  assert.equal(lines.pop(), '', 'what is said ends with a line break');
  const last = lines.pop() ?? '';
  assert.match(last, /^\{"error":\{.*\}\}$/, `the last line is no error: ${stderr}`);
  const { error, ...rest } = JSON.parse(last) as { error: Omit<Failure, 'status' | 'notices'> };
  assert.deepEqual(Object.keys(rest), []);
  for (const line of lines) {
    assert.match(line, /^kms-[a-z]+: /, 'all else is a notice: no stack, no source');
  }
  checkLine(error.message);
  if (error.hint !== undefined) checkLine(error.hint);
  const notices = lines.map((line) => line.replace(/^kms-[a-z]+: /, ''));
  return { ...error, hint: error.hint, status, notices };
}

/**
 * Checks a line for people: a single line, of limited length, without any part of a stack trace.
 */
export function checkLine(line: string): void {
  assert.doesNotMatch(line, /\n|\r|\bat .*:\d+:\d+|undefined|\[object/, line);
  assert.ok(line.length < 400, `a line of ${line.length} characters is not for people: ${line}`);
}
