/** Where the payload goes: standard output, or a file that is written whole or not at all. */
import { fstatSync, type Stats, statSync, write } from 'node:fs';
import { access, constants, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { stdout } from 'node:process';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';

import { KmsPocError, reasonOf, systemCode, usageError } from '../../errors.ts';
import type { ByteStream } from '../../streams/byte-stream.ts';
import type { FileInUse } from '../files-in-use.ts';
import { descriptorOf, isClosed, statDescriptor } from './descriptors.ts';
import type { Input } from './input.ts';
import {
  type Check,
  forFile,
  replaceFile,
  requireReplaceable,
  writeAll,
  writeError,
} from './replace-file.ts';
import { targetOf } from './target.ts';

export interface Output {
  readonly isTerminal: boolean;
  /** The width, if this is a terminal that reports one. */
  readonly columns: number | undefined;
  /** True if nothing that was written can be seen until all of it was written. */
  readonly isHeldUntilEnd: boolean;
  /** True if the output will replace an existing file. */
  readonly replacesFile: boolean;
  /**
   * Writes all of it, or throws; in that case a file is what it was before.
   *
   * @param check inspects what was written to a file before it replaces the old one, and throws to
   *   keep the old one
   * @throws KmsPocError FileError, OutputClosed; and what the payload or the check throws
   */
  write(payload: ByteStream, check?: Check): Promise<void>;
}

export const standardOutput: Output = {
  isTerminal: stdout.isTTY,
  get columns() {
    return stdout.isTTY ? stdout.columns || undefined : undefined;
  },
  isHeldUntilEnd: false,
  replacesFile: false,
  write: writeToStandardOutput,
};

/**
 * @param path undefined or `-`: standard output
 * @param mayBeInput whether the file may also be the input, to be replaced in one step
 * @param inUse files with the keys and settings of this run
 * @param option what the path was given with, for errors
 * @throws KmsPocError Usage, if the file can't be written, is the input or in use; FileError, if
 *   standard output is closed
 */
export async function openOutput(
  path: string | undefined,
  input: Input,
  {
    mayBeInput,
    inUse = [],
    option = '--out',
  }: { mayBeInput: boolean; inUse?: readonly FileInUse[]; option?: string },
): Promise<Output> {
  const descriptor = path === undefined || path === '-' ? 1 : await descriptorOf(path);
  if (descriptor !== undefined) return openDescriptor(descriptor, path, input, inUse);
  const file = path ?? '';
  const refuse = (cause: unknown): never => {
    if (cause instanceof KmsPocError) throw cause;
    const reason = systemCode(cause) === 'ENOENT' ? 'no such folder (ENOENT)' : reasonOf(cause);
    throw usageError(`Can't write ${file}: ${reason}.`, `Check the path after ${option}.`, {
      cause,
    });
  };
  const existing = await stat(file).catch((cause: unknown) =>
    systemCode(cause) === 'ENOENT' ? undefined : refuse(cause),
  );
  if (existing?.isDirectory() === true || file.endsWith('/')) {
    throw usageError(
      `${file} is ${existing === undefined ? 'the name of a folder' : 'a folder'}, not a file.`,
      `Use ${option} with the name of a file.`,
    );
  }
  const isInput = existing !== undefined && isSameFile(existing, input);
  if (isInput && !(mayBeInput && existing.isFile())) throw bothInputAndOutput(file);
  const isFile = existing === undefined || existing.isFile();
  // A symlink is kept, and the file it points to is replaced or created. A FIFO or a device is written
  // to under its own name.
  const target = isFile ? await targetOf(file).catch(refuse) : file;
  for (const each of inUse) await requireOther(file, target, existing, each);
  await access(isFile ? dirname(target) : target, constants.W_OK).catch(refuse);
  if (existing?.isFile() === true) await requireReplaceable(target, existing);
  const isTerminal = existing !== undefined && isOwnTerminal(existing);
  const inPlaceOf = isInput ? existing : undefined;
  return {
    isTerminal,
    columns: isTerminal ? standardOutput.columns : undefined,
    isHeldUntilEnd: isFile,
    replacesFile: existing?.isFile() === true,
    write: isFile
      ? (payload, check) => replaceFile(target, payload, { check, inPlaceOf })
      : (payload) => writeToDevice(target, payload),
  };
}

/** @param path as it was given; undefined for standard output */
async function openDescriptor(
  descriptor: number,
  path: string | undefined,
  input: Input,
  inUse: readonly FileInUse[],
): Promise<Output> {
  const name = path === undefined || path === '-' ? 'standard output' : path;
  if (descriptor === 1) requireOpenOutput();
  const existing = statDescriptor(descriptor, name);
  // Appended to while it is read, a file never ends.
  if (isSameFile(existing, input)) throw bothInputAndOutput(name);
  if (existing.isFile()) {
    const spoilt = inUse.filter(({ isSpoiltByMore }) => isSpoiltByMore);
    for (const each of spoilt) await requireOther(name, name, existing, each);
  }
  if (descriptor === 1) return standardOutput;
  const isTerminal = isatty(descriptor);
  return {
    isTerminal,
    columns: isTerminal ? standardOutput.columns : undefined,
    isHeldUntilEnd: false,
    replacesFile: false,
    write: (payload) => writeToDescriptor(descriptor, name, payload),
  };
}

/** A local key that the run is going to make isn't there yet, so then it is the path that counts. */
async function requireOther(
  name: string,
  target: string,
  existing: Stats | undefined,
  { file, what }: FileInUse,
): Promise<void> {
  const isSame =
    existing === undefined
      ? target === (await targetOf(file).catch(() => undefined))
      : isSameFile(existing, { file: await stat(file).catch(() => undefined) });
  if (!isSame) return;
  throw usageError(
    `${name} is ${what} of this run, so nothing is written there.`,
    'Write to another file.',
  );
}

/** A device may be both: /dev/null, or the terminal. */
const isSameFile = (existing: Stats, { file }: Pick<Input, 'file'>): boolean =>
  !existing.isCharacterDevice() && file?.dev === existing.dev && file.ino === existing.ino;

const bothInputAndOutput = (name: string): KmsPocError =>
  usageError(`${name} is both the input and the output.`, 'Write to another file, then rename it.');

/** @throws KmsPocError FileError */
function requireOpenOutput(): void {
  if (!isClosed(1)) return;
  throw new KmsPocError(
    'FileError',
    'Standard output is closed.',
    'Redirect it to a file or a pipe, or use --out FILE.',
  );
}

/** Whether this is the terminal that the process runs on: /dev/tty, /dev/stdout, /dev/pts/3. */
function isOwnTerminal(file: Stats): boolean {
  if (!file.isCharacterDevice()) return false;
  const open = [0, 1, 2].filter(isatty).map((descriptor) => fstatSync(descriptor));
  return [...open, statSync('/dev/tty', { throwIfNoEntry: false })].some(
    (terminal) => terminal?.rdev === file.rdev,
  );
}

async function writeToDevice(target: string, payload: ByteStream): Promise<void> {
  const handle = await forFile(target, () => open(target, 'w'));
  try {
    await writeAll(handle, target, payload);
  } finally {
    await handle.close();
  }
}

async function writeToDescriptor(
  descriptor: number,
  name: string,
  payload: ByteStream,
): Promise<void> {
  const writePart = promisify(write);
  for await (const chunk of payload) {
    for (let rest = chunk; rest.length > 0;) {
      const { bytesWritten } = await forFile(name, () => writePart(descriptor, rest));
      rest = rest.subarray(bytesWritten);
    }
  }
}

async function writeToStandardOutput(payload: ByteStream): Promise<void> {
  requireOpenOutput();
  // Each write has its own callback. Without a listener, the stream's error event would be fatal.
  stdout.on('error', () => undefined);
  for await (const chunk of payload) {
    await new Promise<void>((resolve, reject) => {
      stdout.write(chunk, (cause) => {
        if (cause) reject(writeError('standard output', cause));
        else resolve();
      });
    });
  }
}
