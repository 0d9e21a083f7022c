/** Where a message is read from: a file, standard input, or a prompt. */
import { close, createReadStream, fstatSync, open, type Stats } from 'node:fs';
import { Socket } from 'node:net';
import { stdin } from 'node:process';
import { promisify } from 'node:util';

import { KmsPocError, reasonOf, usageError } from '../../errors.ts';
import { type ByteStream, streamOf } from '../../streams/byte-stream.ts';
import { readMessage } from '../terminal/ask-message.ts';
import { isInteractive } from '../terminal/ask-user.ts';
import { descriptorOf, isClosed, statDescriptor } from './descriptors.ts';

/**
 * A whole frame of plaintext that is read at once needs no copy: encrypting takes 0.7 of the time.
 * If base64 is written as well, such reads take 160 MiB of memory, and smaller ones 120.
 */
const readSizeBytes = 2 ** 19;
const wholeFrameBytes = 2 ** 20;

export interface Input {
  /** Identifies the file, to tell whether the output is the same one. */
  readonly file: { readonly dev: number; readonly ino: number } | undefined;
  /** Undefined if unknown, as for a pipe. */
  readonly sizeBytes: number | undefined;
  /** @param prompt the question to ask if the message is typed in */
  read(prompt: string): Promise<ByteStream>;
}

/**
 * Opens a file now, so that a wrong name is noticed before anything else is asked.
 *
 * @param path undefined or `-`: standard input, or a prompt if that is a terminal
 * @param hidden whether to hide a message as it is typed
 * @param inWholeFrames whether a plaintext will be written as raw ciphertext
 * @throws KmsPocError Usage
 */
export async function openInput(
  path: string | undefined,
  hidden: boolean,
  inWholeFrames: boolean,
): Promise<Input> {
  const descriptor = path === undefined || path === '-' ? 0 : await descriptorOf(path);
  if (path !== undefined && descriptor !== 0) return openFile(path, descriptor, inWholeFrames);
  if (isClosed(0)) {
    throw usageError('Standard input is closed.', 'Pipe the message in, or use --in FILE.');
  }
  if (!stdin.isTTY) {
    const file = standardInputFile();
    // Node treats a folder as an empty input.
    if (file?.isDirectory() === true) throw usageError('Standard input is a folder.', tarHint);
    return {
      file,
      sizeBytes: sizeOf(file),
      read: () => Promise.resolve(readable(stdin, 'standard input')),
    };
  }
  if (!isInteractive()) {
    throw usageError(
      'No message: standard input is a terminal, but standard error is not, so nothing can be asked.',
      'Pipe the message in, or use --in FILE.',
    );
  }
  return {
    file: undefined,
    sizeBytes: undefined,
    read: async (prompt) => streamOf(await readMessage({ prompt, hidden })),
  };
}

/** @param descriptor that the path means, if it is already open */
async function openFile(
  path: string,
  descriptor: number | undefined,
  inWholeFrames: boolean,
): Promise<Input> {
  try {
    // A stream on a FileHandle takes half as long again, because of its promises.
    const fd = descriptor ?? (await promisify(open)(path, 'r'));
    const stat = descriptor === undefined ? fstatSync(fd) : statDescriptor(fd, path);
    if (stat.isDirectory()) {
      await promisify(close)(fd);
      throw usageError(`${path} is a folder, not a file.`, tarHint);
    }
    // A read from a FIFO can block for ever, and the process can't exit meanwhile; a read from a
    // socket never blocks.
    const stream = (): ByteStream =>
      readable(
        stat.isFIFO() || stat.isSocket()
          ? new Socket({ fd, readable: true, writable: false })
          : createReadStream(path, {
              fd,
              highWaterMark: inWholeFrames ? wholeFrameBytes : readSizeBytes,
            }),
        path,
      );
    return { file: stat, sizeBytes: sizeOf(stat), read: () => Promise.resolve(stream()) };
  } catch (cause) {
    if (cause instanceof KmsPocError) throw cause;
    throw usageError(`Can't read ${path}: ${reasonOf(cause)}.`, 'Check the path after --in.', {
      cause,
    });
  }
}

const sizeOf = (stat: Stats | undefined): number | undefined =>
  stat?.isFile() === true ? stat.size : undefined;

const tarHint = 'Use a file. For a whole folder, use tar: tar c FOLDER | kms-encrypt …';

function standardInputFile(): Stats | undefined {
  try {
    return fstatSync(0);
  } catch {
    return undefined; // closed: reading it reports that
  }
}

async function* readable(stream: AsyncIterable<unknown>, name: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (cause) {
    throw new KmsPocError(
      'FileError',
      `Can't read ${name}: ${reasonOf(cause)}.`,
      'Check that the input can be read to its end.',
      { cause },
    );
  }
}
