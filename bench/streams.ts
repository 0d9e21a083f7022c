/**
 * How fast a long stream is encrypted and decrypted, beside a plain node:crypto AES-256-GCM pipe
 * with the same reads (the floor: the same cipher, with no header, frames or keys) and the
 * Encryption SDK with its defaults (signed, frames of 4 KiB).
 */
import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const mebibyte = 1024 * 1024;

export interface StreamResult {
  /** Such as `decrypt`, `plain-decrypt` or `library-decrypt`. */
  name: string;
  mebibytesPerSecond: number;
  maxRssMebibytes: number;
}

/** The library with its defaults is so slow that a part of the data is enough to tell. */
const librarySizeRatio = 1 / 8;

/**
 * Measures all cases in turn, several times over, each in a process of its own.
 *
 * @param options.mebibytes of plaintext in a stream
 * @param options.rounds of all cases; the median of each counts
 */
export const benchStreams = async ({ mebibytes = 512, rounds = 5 } = {}): Promise<
  StreamResult[]
> => {
  const folder = mkdtempSync(join(tmpdir(), 'kms-poc-bench-'));
  try {
    const program = join(folder, 'stream-case.mjs');
    await bundle(program);
    const whole = join(folder, 'whole');
    const part = join(folder, 'part');
    const partMebibytes = Math.ceil(mebibytes * librarySizeRatio);
    writeRandom(whole, mebibytes);
    writeRandom(part, partMebibytes);
    runCase(program, 'prepare-plain', whole);
    runCase(program, 'prepare-ours', whole);
    runCase(program, 'prepare-library', part);

    const measurements = new Map<string, Measurement[]>();
    const names = ['encrypt', 'decrypt'].flatMap((what) => [
      `plain-${what}`,
      what,
      `library-${what}`,
    ]);
    for (let round = 0; round < rounds; round += 1) {
      for (const name of names) {
        const measured = runCase(program, name, isLibrary(name) ? part : whole);
        measurements.set(name, [...(measurements.get(name) ?? []), measured]);
      }
    }
    return [...measurements].map(([name, all]) => ({
      name,
      mebibytesPerSecond:
        (isLibrary(name) ? partMebibytes : mebibytes) /
        (median(all.map(({ milliseconds }) => milliseconds)) / 1000),
      maxRssMebibytes: Math.max(...all.map(({ maxRssMebibytes }) => maxRssMebibytes)),
    }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

interface Measurement {
  milliseconds: number;
  maxRssMebibytes: number;
}

const isLibrary = (name: string): boolean => name.startsWith('library-');

/** As the commands are bundled: memory and speed depend on how much else is loaded. */
const bundle = async (outfile: string): Promise<void> => {
  await build({
    entryPoints: [join(import.meta.dirname, 'stream-case.ts')],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    mainFields: ['module', 'main'],
    banner: {
      js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
};

const runCase = (program: string, name: string, file: string): Measurement =>
  JSON.parse(execFileSync(process.execPath, [program, name, file]).toString()) as Measurement;

const writeRandom = (file: string, mebibytes: number): void => {
  const bytes = randomFillSync(new Uint8Array(mebibyte));
  const descriptor = openSync(file, 'w');
  for (let index = 0; index < mebibytes; index += 1) writeSync(descriptor, bytes);
  closeSync(descriptor);
};

const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
};
