/**
 * Measures in rounds that run every case once, so that anything else the machine does affects all
 * of them, and the ratios hold even if the times don't.
 */
import { spawn } from 'node:child_process';

/** @returns the milliseconds that it took */
export type Case = () => Promise<number>;

/**
 * The first round, which fills caches and creates keys, isn't counted.
 *
 * @returns the median milliseconds of each case
 */
export async function measure<Name extends string>(
  cases: Readonly<Record<Name, Case>>,
  rounds: number,
): Promise<Record<Name, number>> {
  const names = Object.keys(cases) as Name[];
  const times = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const milliseconds = await cases[name]();
      if (round > 0) times.get(name)?.push(milliseconds);
    }
  }
  const medians = names.map((name) => [name, median(times.get(name) ?? [])]);
  return Object.fromEntries(medians) as Record<Name, number>;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;

export interface ProcessOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly input?: string;
  /** A file descriptor; by default the output is discarded. */
  readonly output?: number;
}

/**
 * Runs a program from start to end.
 *
 * @throws if it fails, with what it printed
 */
export async function time(
  file: string,
  args: readonly string[],
  { env, input = '', output }: ProcessOptions,
): Promise<{ milliseconds: number; stderr: string }> {
  const start = performance.now();
  const child = spawn(file, args, { env, stdio: ['pipe', output ?? 'ignore', 'pipe'] });
  child.stdin?.end(input);
  let stderr = '';
  child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()));
  const status = await new Promise((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  const milliseconds = performance.now() - start;
  if (status !== 0) throw new Error(`${file} ${args.join(' ')} failed: ${stderr}`);
  return { milliseconds, stderr };
}
