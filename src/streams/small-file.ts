/** Files that are always small: keys, passphrases, settings. */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';

import { asBuffer, collectAll } from './byte-stream.ts';

/**
 * More than any such file has. A path that leads somewhere else, an archive or /dev/zero, must not
 * fill up memory.
 */
const maxBytes = 2 ** 16;

/** @throws what Node throws if the file can't be read, and EFBIG if it is too large */
export async function readSmallFile(path: string): Promise<Buffer> {
  // One extra byte shows whether there is more.
  const bytes = await collectAll(createReadStream(path, { end: maxBytes }));
  return checkSize(asBuffer(bytes));
}

/** @throws as `readSmallFile` does */
export function readSmallFileSync(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (let read = 1; read > 0 && length <= maxBytes; length += read) {
      read = readSync(file, bytes, length, bytes.length - length, null);
    }
    return checkSize(bytes.subarray(0, length));
  } finally {
    closeSync(file);
  }
}

function checkSize(bytes: Buffer): Buffer {
  if (bytes.length <= maxBytes) return bytes;
  bytes.fill(0);
  throw Object.assign(new Error('The file is too large.'), { code: 'EFBIG' });
}
