/** What the parts of the soak have in common. */
import type { Moto } from '../test/support/moto.ts';
import type { Tally } from './report.ts';

export interface Surroundings {
  /** With the keys of test/golden. */
  readonly moto: Moto;
  /** A copy of test/golden/test-keys, with the modes that keys must have. */
  readonly keysFolder: string;
  readonly seed: string;
  /** The cases to run: each number is one, and with the seed says all about it. */
  readonly cases: Iterator<number>;
  /** How many run at once. */
  readonly concurrency: number;
}

export type Part = (surroundings: Surroundings) => Promise<readonly Tally[]>;

/** Works on the cases, several at once, until there are none left. */
export async function runAll(
  cases: Iterator<number>,
  workers: readonly ((index: number) => Promise<void>)[],
): Promise<void> {
  const work = async (run: (index: number) => Promise<void>): Promise<void> => {
    for (let next = cases.next(); next.done !== true; next = cases.next()) await run(next.value);
  };
  await Promise.all(workers.map(work));
}

const maxMs = 60_000;

/** @throws if it takes longer than a minute: nothing here does, unless it hangs */
export async function inTime<Result>(promise: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`it did not end in ${maxMs / 1000} s`));
    }, maxMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
