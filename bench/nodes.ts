/** The versions of Node to measure with, from npm: the package `node` has them. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const majors = ['20', '22', '24'] as const;
const folder = join(import.meta.dirname, '..', 'node_modules', '.cache', 'bench-nodes');

/** @returns the program of each version, installed at the first time */
export function nodePrograms(): Record<(typeof majors)[number], string> {
  const programs = majors.map((major) => {
    const prefix = join(folder, major);
    const program = join(prefix, 'node_modules', 'node', 'bin', 'node');
    if (!existsSync(program)) {
      mkdirSync(prefix, { recursive: true });
      const args = ['install', '--prefix', prefix, '--no-save', '--no-audit', '--no-fund'];
      execFileSync('npm', [...args, `node@${major}`], { stdio: ['ignore', 2, 2] });
    }
    return [major, program] as const;
  });
  return Object.fromEntries(programs) as ReturnType<typeof nodePrograms>;
}

/** Such as 22.23.3. */
export const versionOf = (program: string): string =>
  execFileSync(program, ['--version'], { encoding: 'utf8' }).trim().slice(1);
