/** Measures how much memory a command takes, on every system that Node runs on. */
import assert from 'node:assert/strict';
import type { Environment } from './command.ts';

// On Linux maxRSS counts what the process that started it took before.
const program = `import { readFileSync, writeSync } from 'node:fs';
process.on('exit', () => {
  let taken = process.resourceUsage().maxRSS;
  try { taken = /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]; } catch {}
  writeSync(2, 'max RSS: ' + taken + ' KiB\\n');
});`;

/** For a command's environment: as it ends, it prints on standard error how much memory it took. */
export const tellMaxRss: Environment = {
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(program)}`,
};

/** @returns mebibytes, from the standard error of a command that ran with `tellMaxRss` */
export function maxRssMebibytes(stderr: string): number {
  const kibibytes = /^max RSS: (\d+) KiB$/m.exec(stderr)?.[1];
  assert.ok(kibibytes, stderr);
  return Number(kibibytes) / 1024;
}
