/**
 * Files that a run needs only until it ends. Their names say which process they belong to, so that a
 * later run can remove those that a killed one left behind, and never those of a live one.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { open, readdir, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';

/** Short enough for every file system, whatever the length of the name that it will replace. */
const pattern = /^\.kms-poc-([0-9a-f]{8})-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}\.tmp$/;

/** @returns a new name, for a file in the folder of the one that it will become */
export function temporaryName(): string {
  const { place, boot, pid, start } = ownProcess();
  return `.kms-poc-${place}-${boot}-${pid}-${start}-${randomBytes(4).toString('hex')}.tmp`;
}

/**
 * Removes what killed runs left in a folder: it may contain a plaintext, or be a second name of a
 * key. A file is only removed if its process is known to be dead: one of another container or
 * machine may be alive, whatever its pid. Where there is no /proc, nothing is known and nothing
 * removed.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  // A folder that can be written to but not listed has nothing that can be found.
  for (const name of await readdir(folder).catch(() => [])) {
    const [, place, boot, pid, start] = pattern.exec(name) ?? [];
    if (place === undefined || place !== ownProcess().place || place === unknown) continue;
    const isDead = boot !== ownProcess().boot || startOf(pid ?? '') !== start;
    // As it stands: `join` would take `link/..` for the folder that the link is in.
    if (isDead) await unlink(`${folder}/${name}`).catch(() => undefined);
  }
}

/** A name that was changed survives a power cut only once its folder is on the disk. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // It can't be read, or the file system can't do that: then it is as safe as it can be.
  }
}

interface Owner {
  /** Machine and PID namespace: where the pid means a process. */
  readonly place: string;
  readonly boot: string;
  readonly pid: string;
  /** When the process was started: pids are used again. */
  readonly start: string;
}

const unknown = '00000000';

let own: Owner | undefined;

function ownProcess(): Owner {
  if (own !== undefined) return own;
  try {
    const pid = readlinkSync('/proc/self');
    // The namespace's inode number is the same for all processes in it.
    const namespace = statSync('/proc/self/ns/pid').ino;
    const place = [hostname(), machineId(), String(namespace)].join('\n');
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1');
    own = { place: shortHash(place), boot: shortHash(boot), pid, start: startOf(pid) ?? '0' };
  } catch {
    own = { place: unknown, boot: unknown, pid: '0', start: '0' };
  }
  return own;
}

const shortHash = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, unknown.length);

function machineId(): string {
  try {
    return readFileSync('/etc/machine-id', 'latin1');
  } catch {
    return '';
  }
}

/**
 * @returns field 22 of proc(5)'s stat, in clock ticks since the machine started; undefined if there
 *   is no such process
 */
function startOf(pid: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name, in parentheses, and may contain anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
