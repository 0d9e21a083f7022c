/** A file that is written whole or not at all: written next to its target, then renamed. */
import { constants, createReadStream, type Stats, unlinkSync } from 'node:fs';
import { type FileHandle, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process, { getuid } from 'node:process';

import { KmsPocError, reasonOf, systemCode, usageError } from '../../errors.ts';
import type { ByteStream } from '../../streams/byte-stream.ts';
import { removeLeftovers, syncFolder, temporaryName } from '../../streams/temporary-file.ts';

export type Check = (written: ByteStream) => Promise<void>;

/** The temporary files of this run. However it ends, none is left (except after kill -9). */
const temporaryFiles = new Set<string>();
process.on('exit', () => {
  for (const file of temporaryFiles) {
    try {
      unlinkSync(file);
    } catch {
      // It is already gone.
    }
  }
});

interface ReplaceOptions {
  /**
   * Inspects what was written before it replaces the target, and throws to keep the old file.
   */
  readonly check?: Check | undefined;
  /** The file that is replaced in place: its mode, owner and group are kept. */
  readonly inPlaceOf?: Stats | undefined;
}

/** @throws KmsPocError FileError; and what the payload or the check throws */
export async function replaceFile(
  target: string,
  payload: ByteStream,
  { check, inPlaceOf }: ReplaceOptions,
): Promise<void> {
  const folder = dirname(target);
  await removeLeftovers(folder);
  const temporaryFile = join(folder, temporaryName());
  temporaryFiles.add(temporaryFile);
  try {
    const handle = await forFile(target, () => open(temporaryFile, 'wx', 0o600));
    try {
      await writeAll(handle, target, payload);
      if (inPlaceOf !== undefined) await forFile(target, () => keepOwner(handle, inPlaceOf));
      await forFile(target, () => handle.sync());
    } finally {
      await handle.close();
    }
    await check?.(createReadStream(temporaryFile));
    await forFile(target, () => rename(temporaryFile, target));
    temporaryFiles.delete(temporaryFile);
    await syncFolder(folder);
  } catch (error) {
    unlinkQuietly(temporaryFile);
    throw error;
  }
}

async function keepOwner(handle: FileHandle, { uid, gid, mode }: Stats): Promise<void> {
  const own = await handle.stat();
  if (own.uid !== uid || own.gid !== gid) {
    // Only root can give a file away; anyone else keeps what they can.
    await handle.chown(uid, gid).catch(() => undefined);
  }
  await handle.chmod(mode & 0o777);
}

/**
 * Whether a rename can replace a file, so that nobody waits for what can't be written in the end.
 *
 * @throws KmsPocError Usage
 */
export async function requireReplaceable(target: string, existing: Stats): Promise<void> {
  const refuse = (why: string): never => {
    throw usageError(
      `${target} can't be replaced: ${why}.`,
      'Write to another file, or to standard output: > FILE',
    );
  };
  if (await isMountPoint(target)) refuse('it is a mount point');
  const folder = await stat(dirname(target));
  const isSticky = (folder.mode & 0o1000) !== 0;
  const owners = [0, existing.uid, folder.uid];
  if (isSticky && !owners.includes(getuid?.() ?? 0) && getuid?.() !== 0) {
    refuse('it belongs to another user, in a folder where only owners may replace files');
  }
  // An immutable file (chattr +i) can't be opened for writing even by those who may write to it.
  const opened = await open(target, constants.O_WRONLY | constants.O_NONBLOCK).catch(systemCode);
  if (typeof opened !== 'string') await opened.close();
  else if (opened === 'EPERM') refuse('it is immutable (EPERM)');
}

async function isMountPoint(target: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'latin1').catch(() => '');
  // Blanks and backslashes are escaped in octal.
  const unescaped = (text: string): string =>
    Buffer.from(
      text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
      'latin1',
    ).toString();
  return mounts.split('\n').some((line) => unescaped(line.split(' ')[4] ?? '') === target);
}

function unlinkQuietly(file: string): void {
  try {
    unlinkSync(file);
  } catch {
    // It was never created.
  }
  temporaryFiles.delete(file);
}

export async function writeAll(
  handle: FileHandle,
  target: string,
  payload: ByteStream,
): Promise<void> {
  for await (const chunk of payload) {
    // One write may take only part of it.
    for (let rest = chunk; rest.length > 0;) {
      const { bytesWritten } = await forFile(target, () => handle.write(rest));
      rest = rest.subarray(bytesWritten);
    }
  }
}

export async function forFile<Result>(
  target: string,
  action: () => Promise<Result>,
): Promise<Result> {
  try {
    return await action();
  } catch (cause) {
    throw writeError(target, cause);
  }
}

export const writeError = (target: string, cause: unknown): KmsPocError => {
  const code = systemCode(cause);
  return code === 'EPIPE'
    ? new KmsPocError('OutputClosed', 'Whoever read the output closed it.', undefined, { cause })
    : new KmsPocError(
        'FileError',
        `Can't write ${target}: ${reasonOf(cause)}.`,
        code === 'ENOSPC'
          ? 'Free some space, or write somewhere else.'
          : 'Check the disk, or write somewhere else.',
        { cause },
      );
};
