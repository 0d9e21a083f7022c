/**
 * Names that mean a descriptor which is already open. Opening such a name again would start its file
 * from the beginning, replace it, or fail on a socket.
 */
import { existsSync, fstatSync, readlinkSync, type Stats } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { env, pid } from 'node:process';

import { usageError } from '../../errors.ts';
import { absolutePath, linkedPath, maxLinks } from './target.ts';

const standard: Readonly<Record<string, number>> = {
  '/dev/stdin': 0,
  '/dev/stdout': 1,
  '/dev/stderr': 2,
};

/**
 * @returns undefined for a name that means a file. Without /proc, only standard input, output and
 *   error are known: any other descriptor is opened by its name.
 */
export async function descriptorOf(path: string): Promise<number | undefined> {
  let current: string | undefined = path;
  for (let links = 0; links < maxLinks; links++) {
    current = await absolutePath(current).catch(() => undefined);
    if (current === undefined) return undefined;
    const named = /^\/(?:dev|proc\/(self|thread-self|\d+))\/fd\/(\d+)$/.exec(current);
    if (named !== null && (!/^\d/.test(named[1] ?? '') || named[1] === String(pid))) {
      const descriptor = Number(named[2]);
      return descriptor <= 2 || existsSync('/proc/self/fd') ? descriptor : undefined;
    }
    if (standard[current] !== undefined) return standard[current];
    const link = await readlink(current).catch(() => undefined);
    if (link === undefined) return undefined;
    current = linkedPath(current, link);
  }
  return undefined;
}

/** @throws KmsPocError Usage, if it is not open */
export function statDescriptor(descriptor: number, path: string): Stats {
  try {
    if (!isInherited(descriptor)) throw Object.assign(new Error(), { code: 'EBADF' });
    return fstatSync(descriptor);
  } catch (cause) {
    throw usageError(
      `Descriptor ${descriptor} (${path}) is not open.`,
      'Open it in the shell, or use - for standard input or output.',
      { cause },
    );
  }
}

/**
 * Node opens descriptors of its own, which must not be touched, and nothing tells them from those that
 * it was handed. So the launcher lists the open ones before it starts Node (`3 -> /a/file`), if an
 * argument names one.
 */
function isInherited(descriptor: number): boolean {
  if (descriptor <= 2) return true;
  try {
    const target = readlinkSync(`/proc/self/fd/${descriptor}`);
    const list = (env.KMS_POC_OPEN ?? '').split('\n');
    return list.some((line) => line.endsWith(` ${descriptor} -> ${target}`));
  } catch {
    return false;
  }
}

/**
 * Whether standard input (0) or output (1) was closed when the command started. Node opens /dev/null
 * in its place, and an empty message or a lost one would pass for a success; so the launcher looks
 * before it starts Node.
 */
export const isClosed = (descriptor: 0 | 1): boolean =>
  env.KMS_POC_CLOSED?.includes(String(descriptor)) === true;
