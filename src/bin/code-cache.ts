/**
 * V8's code cache: what V8 made of the bundle's source in an earlier run. It is taken when a run ends,
 * so it has every function that the run called. The build makes one in dist/, by running the
 * commands. For another Node, one is made in the user's own cache folder.
 *
 * It is only ever a cache: if there is none, or it is damaged or another Node's, the source is
 * compiled. But it is code that will run, so it is never taken from a folder that others may write
 * to. In dist/ it is as safe as the source beside it.
 */
import { hash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import process, { arch, getuid, pid, version } from 'node:process';
import { Script } from 'node:vm';

import { userFolder } from '../cli/folders.ts';

const digestBytes = 32;
/** What is still of use is then made again; the rest is of builds that are gone. */
const maxAgeMs = 30 * 24 * 60 * 60_000;

/**
 * @param builtFolder where the build puts its cache
 * @param id of the build, and of the command: each has a cache of its own, with the functions that it
 *   calls
 * @returns evaluates the source of a file
 */
export function codeCache(
  builtFolder: string,
  id: string,
): (file: string, source: string) => unknown {
  const uncached = new Map<string, Script>();
  process.once('exit', (status) => {
    if (status === 0 && uncached.size > 0) store(uncached);
  });
  return (file, source) => {
    const name = `${id}-${basename(file, '.js')}-${version}-${arch}`;
    let script: Script | undefined;
    for (const folder of [() => builtFolder, usersFolder]) {
      const cachedData = read(folder(), name);
      if (cachedData === undefined) continue;
      script = new Script(source, { filename: file, cachedData });
      // V8 itself refuses what another version of V8 made, or the same one with other flags.
      if (script.cachedDataRejected === false) return script.runInThisContext() as unknown;
    }
    script ??= new Script(source, { filename: file });
    uncached.set(name, script);
    return script.runInThisContext() as unknown;
  };
}

/** @returns undefined if there is none, or if it is not as it was written, which V8 doesn't check */
function read(folder: string | undefined, name: string): Buffer | undefined {
  if (folder === undefined) return undefined;
  try {
    const bytes = readFileSync(join(folder, name));
    const data = bytes.subarray(digestBytes);
    return digest(data).equals(bytes.subarray(0, digestBytes)) ? data : undefined;
  } catch {
    return undefined;
  }
}

const digest = (data: Buffer): Buffer => hash('sha256', data, 'buffer');

function store(scripts: ReadonlyMap<string, Script>): void {
  try {
    const folder = usersFolder(true);
    if (folder === undefined) return;
    for (const name of readdirSync(folder)) {
      const file = join(folder, name);
      const isOld = lstatSync(file).mtimeMs < Date.now() - maxAgeMs;
      if (isOld) rmSync(file, { recursive: true, force: true });
    }
    for (const [name, script] of scripts) {
      const data = script.createCachedData();
      // Renamed into place, so that another run never sees half of it.
      const temporary = join(folder, `${name}.${pid}`);
      try {
        writeFileSync(temporary, Buffer.concat([digest(data), data]), { mode: 0o600 });
        renameSync(temporary, join(folder, name));
      } catch (error) {
        rmSync(temporary, { force: true }); // half of it, on a full disk
        throw error;
      }
    }
  } catch {
    // A full or read-only disk: the next run compiles, as this one did.
  }
}

/**
 * @returns undefined unless it is a real folder, no link, that belongs to the user and that nobody else
 *   can get into
 */
function usersFolder(isMade = false): string | undefined {
  try {
    const cache = userFolder('cache');
    if (cache === undefined || getuid === undefined) return undefined;
    const folder = join(cache, 'kms-poc');
    if (isMade) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = lstatSync(folder);
    const isFolder = (mode & 0o170000) === 0o040000;
    return isFolder && uid === getuid() && (mode & 0o077) === 0 ? folder : undefined;
  } catch {
    return undefined; // there is none, or it can't be made
  }
}
