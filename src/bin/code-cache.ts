/**
 * V8's code cache: what V8 made of the bundle's source in an earlier run. It is taken when a run ends,
 * so it has every function that the run called. The build makes one in dist/, by running the
 * commands. For another Node, one is made in the user's own cache folder.
 *
 * It is only ever a cache: if there is none, or it is damaged, another Node's or another source's, the
 * source is compiled. But it is code that will run, so nothing is taken that another user can have
 * written. In dist/ it is as safe as the source beside it.
 */
import { hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import process, { arch, getuid, pid, version } from 'node:process';
import { Script } from 'node:vm';

import { userFolder } from '../cli/folders.ts';
import { isUtf8Name } from '../formats/file-name.ts';

const digestBytes = 32;
/** What is still of use is then made again; the rest is of builds that are gone. */
const maxAgeMs = 30 * 24 * 60 * 60_000;
/** A file of the cache: command, build, part, Node and architecture; and a process, while it is written. */
const nameRule = /^kms-[a-z]+-[0-9a-f]{16}-[\w-]+-v\d+\.\d+\.\d+[\w.-]*-[a-z0-9]+(?:\.\d+)?$/;

interface Uncached {
  readonly script: Script;
  readonly source: Buffer;
}

/**
 * @param builtFolder where the build puts its cache
 * @param id of the build, and of the command: each has a cache of its own, with the functions that it
 *   calls
 * @returns evaluates a file of source in ASCII
 */
export function codeCache(builtFolder: string, id: string): (file: string) => unknown {
  const uncached = new Map<string, Uncached>();
  process.once('exit', (status) => {
    if (status === 0 && uncached.size > 0) store(uncached);
  });
  return (file) => {
    const name = `${id}-${basename(file, '.js')}-${version}-${arch}`;
    const source = readFileSync(file);
    const text = source.toString('latin1'); // what V8 reads fastest
    let script: Script | undefined;
    for (const folder of [() => builtFolder, usersFolder]) {
      const cachedData = read(folder(), name, source);
      if (cachedData === undefined) continue;
      script = new Script(text, { filename: file, cachedData });
      // V8 itself refuses what another version of V8 made, or the same one with other flags.
      if (script.cachedDataRejected === false) return script.runInThisContext() as unknown;
    }
    script ??= new Script(text, { filename: file });
    uncached.set(name, { script, source });
    return script.runInThisContext() as unknown;
  };
}

/**
 * What a file of the cache holds: a digest, since V8 doesn't look for damage; V8's data; and the source
 * that it was made from, of which V8 only checks the length.
 */
const sealed = (data: Buffer, source: Buffer): Buffer =>
  Buffer.concat([digest(data), data, source]);

/** @returns V8's data; undefined if there is none for this source, or if it is damaged */
function read(folder: string | undefined, name: string, source: Buffer): Buffer | undefined {
  if (folder === undefined) return undefined;
  try {
    const bytes = readTrusted(join(folder, name));
    const sourceStart = bytes.length - source.length;
    const data = bytes.subarray(digestBytes, sourceStart);
    return bytes.subarray(sourceStart).equals(source) &&
      digest(data).equals(bytes.subarray(0, digestBytes))
      ? data
      : undefined;
  } catch {
    return undefined;
  }
}

const digest = (data: Buffer): Buffer => hash('sha256', data, 'buffer');

/**
 * Looks at the file that it has open: whoever may rename things in a folder above can put another in
 * its place at any time. A FIFO must not be waited for.
 */
function readTrusted(file: string): Buffer {
  const descriptor = openSync(
    file,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  try {
    const stat = fstatSync(descriptor);
    const isTrusted = stat.isFile() && (isOwn(stat) || stat.uid === 0) && (stat.mode & 0o022) === 0;
    if (!isTrusted) throw new Error('not a file that only its owner can have written');
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function store(scripts: ReadonlyMap<string, Uncached>): void {
  try {
    const folder = usersFolder(true);
    if (folder === undefined) return;
    for (const name of readdirSync(folder)) {
      const file = join(folder, name);
      const stat = lstatSync(file);
      const isOld = stat.mtimeMs < Date.now() - maxAgeMs;
      // The user may have put anything else here.
      if (isOld && stat.isFile() && nameRule.test(name)) rmSync(file);
    }
    for (const [name, { script, source }] of scripts) {
      const data = script.createCachedData();
      // Renamed into place, so that another run never sees half of it.
      const temporary = join(folder, `${name}.${pid}`);
      try {
        writeFileSync(temporary, sealed(data, source), { mode: 0o600, flag: 'wx' });
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
    if (cache === undefined || !isUtf8Name(cache)) return undefined;
    // Not kms-poc itself, where the local key is if one folder is set for data and caches.
    const folder = join(cache, 'kms-poc', 'code-cache');
    if (isMade) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const stat = lstatSync(folder);
    return stat.isDirectory() && isOwn(stat) && (stat.mode & 0o077) === 0 ? folder : undefined;
  } catch {
    return undefined; // there is none, or it can't be made
  }
}

const isOwn = ({ uid }: Stats): boolean => uid === getuid?.();
