/** A file that is written whole or not at all: written next to its target, then renamed. */
import { randomBytes } from 'node:crypto';
import { createReadStream, unlinkSync } from 'node:fs';
import { type FileHandle, open, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';

import { KmsPocError, reasonOf, systemCode } from '../../errors.ts';
import type { ByteStream } from '../../streams/byte-stream.ts';

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

/**
 * @param check inspects what was written before it replaces the target, and throws to keep the old
 *   file
 * @throws KmsPocError FileError; and what the payload or the check throws
 */
export async function replaceFile(
  target: string,
  payload: ByteStream,
  check: Check | undefined,
): Promise<void> {
  await removeLeftovers(target);
  const random = randomBytes(6).toString('hex');
  const temporaryFile = join(dirname(target), `.${basename(target)}.${process.pid}.${random}.tmp`);
  temporaryFiles.add(temporaryFile);
  try {
    const handle = await forFile(target, () => open(temporaryFile, 'wx', 0o600));
    try {
      await writeAll(handle, target, payload);
      await forFile(target, () => handle.sync());
    } finally {
      await handle.close();
    }
    await check?.(createReadStream(temporaryFile));
    await forFile(target, () => rename(temporaryFile, target));
    temporaryFiles.delete(temporaryFile);
  } catch (error) {
    unlinkQuietly(temporaryFile);
    throw error;
  }
}

/**
 * A run that was killed (kill -9, a power cut) could not remove its temporary file, which may
 * contain a plaintext. The next run for the same file removes it.
 */
async function removeLeftovers(target: string): Promise<void> {
  const folder = dirname(target);
  const start = `.${basename(target)}.`;
  for (const name of await forFile(target, () => readdir(folder))) {
    if (!name.startsWith(start)) continue;
    const pid = /^(\d+)\.[0-9a-f]{12}\.tmp$/.exec(name.slice(start.length))?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) unlinkQuietly(join(folder, name));
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
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
