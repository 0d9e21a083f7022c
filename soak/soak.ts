/** The soak, for `npm run soak` and, in a small share, for `npm test`. */
import { chmodSync, cpSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import { goldenFolder } from '../test/golden/manifest.ts';
import { temporaryFolder } from '../test/support/command.ts';
import { startMoto } from '../test/support/moto.ts';
import { soakCiphertexts } from './ciphertexts.ts';
import { soakFaults } from './faults.ts';
import { soakKills } from './kills.ts';
import { leftOut } from './originals.ts';
import type { Part } from './part.ts';

const parts = { ciphertexts: soakCiphertexts, faults: soakFaults, kills: soakKills };
type PartName = keyof typeof parts;

/** Of the time that is given beyond the counts. */
const shares: Readonly<Record<PartName, number>> = { ciphertexts: 0.5, faults: 0.3, kills: 0.2 };

interface SoakOptions {
  readonly seed: string;
  /** How many cases of each part. */
  readonly counts: Readonly<Record<PartName, number>>;
  /** With cases beyond the counts, until so many minutes are over. */
  readonly minutes?: number;
  /** With fewer cases, if they take longer. */
  readonly maxSeconds?: Readonly<Record<PartName, number>>;
  /** A single part. */
  readonly only?: string | undefined;
  readonly oneCase?: number | undefined;
  readonly say: (text: string) => void;
}

/** @returns whether it found nothing */
export async function soak({
  seed,
  counts,
  minutes = 0,
  maxSeconds,
  only,
  oneCase,
  say,
}: SoakOptions): Promise<boolean> {
  const names = (Object.keys(parts) as PartName[]).filter((name) => (only ?? name) === name);
  if (names.length === 0) throw new Error(`There is no part ${only ?? ''}.`);
  const keysFolder = join(temporaryFolder(), 'test-keys');
  cpSync(join(goldenFolder, 'test-keys'), keysFolder, { recursive: true });
  // Git doesn't store the mode of a key file.
  for (const name of readdirSync(keysFolder)) chmodSync(join(keysFolder, name), 0o600);
  const moto = await startMoto({ keysFile: join(keysFolder, 'kms-keys.json') });
  const concurrency = Math.max(2, availableParallelism());
  say(`Seed ${seed}, Node ${process.versions.node}, ${availableParallelism()} CPUs.\n`);

  let found = 0;
  try {
    for (const name of names) {
      const start = performance.now();
      const minMs = minutes * 60_000 * (only === undefined ? shares[name] : 1);
      const maxMs = (maxSeconds?.[name] ?? Infinity) * 1000;
      const cases =
        oneCase === undefined ? counting(counts[name], minMs, maxMs) : [oneCase].values();
      const part: Part = parts[name];
      const tallies = await part({ moto, keysFolder, seed, cases, concurrency });
      for (const tally of tallies) say(tally.tables());
      if (name === 'ciphertexts') {
        say(`Left out, since AWS's packages can't open them: ${leftOut().join('; ')}.\n`);
      }
      const findings = tallies.flatMap((tally) => tally.findings);
      const seconds = Math.round((performance.now() - start) / 1000);
      say(
        `${name}: ${tallies[0]?.runs() ?? 0} runs in ${seconds} s, ${findings.length} findings.\n`,
      );
      for (const { name: caseName, what, input } of findings) {
        say(
          `FOUND ${what}\n  ${input}\n  again: npm run soak -- --seed ${seed} --case ${caseName}\n`,
        );
      }
      found += findings.length;
    }
  } finally {
    await moto.stop();
  }
  return found === 0;
}

/** However slow the machine is. */
const minCases = 8;

/** Gives numbers for at least `minMs` and at most `maxMs` from the first one on, else `count`. */
function* counting(count: number, minMs: number, maxMs: number): Generator<number> {
  const start = performance.now();
  for (let index = 0; ; index++) {
    const ms = performance.now() - start;
    if (index >= Math.min(count, minCases) && (ms > maxMs || (index >= count && ms > minMs)))
      return;
    yield index;
  }
}
