/** Where a message is read from: a file, standard input, or a prompt. */
import { fstatSync, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { Socket } from 'node:net';
import { stdin } from 'node:process';

import { KmsPocError, systemCode, usageError } from '../errors.ts';
import { type ByteStream, streamOf } from '../formats/byte-stream.ts';
import { readMessage } from './message-reader.ts';
import { isInteractive } from './terminal.ts';

/**
 * Large reads cost few turns of the event loop; larger ones than this, memory (base64 in 1 MiB
 * reads: 170 MiB in place of 115).
 */
const readSizeBytes = 2 ** 18;

export interface Input {
  /** Identifies the file, to tell whether the output is the same one. */
  readonly file: { readonly dev: number; readonly ino: number } | undefined;
  /** Undefined: unknown, as for a pipe. */
  readonly sizeBytes: number | undefined;
  /** @param prompt the question, where the message is asked for */
  read(prompt: string): Promise<ByteStream>;
}

/**
 * Opens a file now, so that a wrong name is noticed before anything else is asked.
 *
 * @param hidden whether a message is not shown while it is typed
 * @param path undefined or `-`: standard input, or a prompt where that is a terminal
 * @throws KmsPocError Usage
 */
export async function openInput(path: string | undefined, hidden: boolean): Promise<Input> {
  if (path !== undefined && path !== '-') return openFile(path);
  if (!stdin.isTTY) {
    const file = standardInputFile();
    // Node takes it for an empty input.
    if (file?.isDirectory() === true) throw usageError('Standard input is a folder.', tarHint);
    return {
      file,
      sizeBytes: sizeOf(file),
      read: () => Promise.resolve(readable(stdin, 'standard input')),
    };
  }
  if (!isInteractive()) {
    throw usageError(
      'There is no message: standard input is a terminal, and a question on standard error would not be seen.',
      'Pipe a message in, or name a file with --in.',
    );
  }
  return {
    file: undefined,
    sizeBytes: undefined,
    read: async (prompt) => streamOf(await readMessage({ prompt, hidden })),
  };
}

async function openFile(path: string): Promise<Input> {
  try {
    const handle = await open(path);
    const stat = await handle.stat();
    if (stat.isDirectory()) {
      await handle.close();
      throw usageError(`${path} is a folder, not a file.`, tarHint);
    }
    // A read from a FIFO can wait for ever, and no exit while it does; a socket's never blocks.
    const stream = (): ByteStream =>
      readable(
        stat.isFIFO()
          ? new Socket({ fd: handle.fd, readable: true, writable: false })
          : handle.createReadStream({ highWaterMark: readSizeBytes }),
        path,
      );
    return { file: stat, sizeBytes: sizeOf(stat), read: () => Promise.resolve(stream()) };
  } catch (cause) {
    if (cause instanceof KmsPocError) throw cause;
    const code = systemCode(cause);
    throw usageError(`${path} can't be read (${code}).`, 'Check the path after --in.', { cause });
  }
}

const sizeOf = (stat: Stats | undefined): number | undefined =>
  stat?.isFile() === true ? stat.size : undefined;

const tarHint = 'Name a file. A whole folder goes through tar: tar c FOLDER | kms-encrypt …';

function standardInputFile(): Stats | undefined {
  try {
    return fstatSync(0);
  } catch {
    return undefined; // closed: reading it says so
  }
}

async function* readable(stream: AsyncIterable<unknown>, name: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (cause) {
    const code = systemCode(cause);
    throw new KmsPocError('FileError', `Reading ${name} failed (${code}).`, undefined, { cause });
  }
}
