/** Files that are small by nature: keys, passphrases, settings. */
import { constants, type Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';

/**
 * More than any such file has. A path that leads somewhere else, an archive or /dev/zero, must not
 * fill up memory.
 */
const maxBytes = 2 ** 16;

export interface SmallFile {
  readonly bytes: Buffer;
  /** Of the open file itself: a path can mean another one by the next look. */
  readonly stat: Stats;
}

/**
 * What is no regular file (a pipe, as in `--key rsa:<(…)`) can be read only once, and a run may need
 * a key several times. So its content is kept.
 */
const readOnce = new Map<string, Promise<SmallFile>>();

/**
 * @param check looks at the open file before anything of it is read, and throws to refuse it
 * @throws what Node throws when it can't be read, EFBIG for what is no small file, and what `check`
 *   throws
 */
export async function readSmallFile(
  path: string,
  check?: (stat: Stats) => void,
): Promise<SmallFile> {
  const isFile = await stat(path).then(
    (entry) => entry.isFile(),
    () => true, // opening it will say why not
  );
  if (isFile) return read(path, check);
  const reading = readOnce.get(path) ?? read(path, check);
  readOnce.set(path, reading);
  const { bytes, ...content } = await reading;
  return { ...content, bytes: Buffer.from(bytes) }; // the reader of a key zeroes its copy
}

async function read(path: string, check?: (stat: Stats) => void): Promise<SmallFile> {
  // Without O_NONBLOCK, opening a FIFO waits for its writer: too long for one that is refused.
  const flags = constants.O_RDONLY | (check === undefined ? 0 : constants.O_NONBLOCK);
  const file = await open(path, flags);
  try {
    const opened = await file.stat();
    check?.(opened);
    return { bytes: await readAll(file), stat: opened };
  } finally {
    await file.close();
  }
}

async function readAll(file: Awaited<ReturnType<typeof open>>): Promise<Buffer> {
  // One byte more tells that there is more.
  const buffer = Buffer.alloc(maxBytes + 1);
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
  buffer.fill(0);
  throw Object.assign(new Error('The file is too large.'), { code: 'EFBIG' });
}
