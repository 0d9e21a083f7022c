/**
 * The local key: 32 random bytes in a file, for AES-256. It stands in for AWS KMS where there is no
 * account, and protects messages only as well as the file is protected.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, linkSync, rmSync, type Stats, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { WrappingKey } from '../envelope/wrapping-key.ts';
import { KmsPocError, reasonOf, systemCode } from '../errors.ts';
import { toUtf8 } from '../formats/text.ts';
import { readSmallFile, type SmallFile } from '../streams/small-file.ts';
import { removeLeftovers, syncFolder, temporaryName } from '../streams/temporary-file.ts';

export interface LocalKey {
  readonly file: string;
  /** 16 hex digits of a hash: public, and enough to tell two keys apart. */
  readonly fingerprint: string;
  /** 32 bytes; whoever uses them zeroes them afterwards. */
  readonly keyBytes: Uint8Array;
  /** Undefined: this run made it. */
  readonly stat: Stats | undefined;
}

const keyLength = 32;

/**
 * @returns undefined if there is no such file
 * @throws KmsPocError KeyUnusable, if the file can't be read or is not a key
 */
export async function readLocalKey(file: string): Promise<LocalKey | undefined> {
  let content: SmallFile;
  try {
    content = await readSmallFile(file);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT') return undefined;
    throw new KmsPocError(
      'KeyUnusable',
      `Can't read the local key file ${file}: ${reasonOf(cause)}.`,
      'It was not changed. Make it readable, or use another one: --key local:FILE.',
      { cause },
    );
  }
  const { bytes, stat } = content;
  const text = toUtf8(bytes);
  const keyBytes = text && parseKeyFile(text);
  bytes.fill(0);
  text?.fill(0);
  if (keyBytes === undefined) {
    throw new KmsPocError(
      'KeyUnusable',
      `${file} is not a local key file.`,
      'It was not changed. kms-encrypt --key local:FILE creates one if FILE does not exist.',
    );
  }
  // A run that was killed while it made the key left a second name of it.
  if (stat.nlink > 1) await removeLeftovers(dirname(file));
  return { file, fingerprint: fingerprintOf(keyBytes), keyBytes, stat };
}

/**
 * Creates a new key file with mode 0600, and its folder with mode 0700. An existing file is never
 * overwritten: when two commands race, both use the key of the first.
 *
 * @throws KmsPocError KeyUnusable
 */
export async function makeLocalKey(file: string): Promise<LocalKey> {
  const keyBytes = randomBytes(keyLength);
  const folder = dirname(file);
  // As it stands: `join` would take `link/..` for the folder that the link is in.
  const temporaryFile = `${folder}/${temporaryName()}`;
  try {
    await makeFolder(folder);
    // A run that was killed just before its key got its name left a key that nobody will use.
    await removeLeftovers(folder);
    // Without a pause in which a signal could end the run, and leave a second name of the key.
    try {
      const options = { flag: 'wx', mode: 0o600, flush: true };
      writeFileSync(temporaryFile, serializeKeyFile(keyBytes), options);
      // Unlike a rename, a link fails if the file already exists.
      linkSync(temporaryFile, file);
    } finally {
      rmSync(temporaryFile, { force: true });
    }
  } catch (cause) {
    keyBytes.fill(0);
    const code = systemCode(cause);
    if (code === 'EEXIST') {
      const winner = await readLocalKey(file);
      if (winner !== undefined) return winner;
    }
    throw new KmsPocError(
      code === 'ENOSPC' ? 'FileError' : 'KeyUnusable',
      `Can't create the local key file ${file}: ${reasonOf(cause)}.`,
      'Use another place: --key local:FILE.',
      { cause },
    );
  }
  await syncFolder(folder);
  return { file, fingerprint: fingerprintOf(keyBytes), keyBytes, stat: undefined };
}

/** Node's own recursive mkdir says ENOENT of a read-only file system. */
async function makeFolder(folder: string): Promise<void> {
  const parent = dirname(folder);
  if (parent !== folder && !existsSync(parent)) await makeFolder(parent);
  await mkdir(folder, { mode: 0o700 }).catch((cause: unknown) => {
    if (systemCode(cause) !== 'EEXIST') throw cause;
  });
}

/** To be called once for each key: its bytes are zeroed, and the wrapping key has its own copy. */
export async function wrapWithLocalKey(key: LocalKey): Promise<WrappingKey> {
  const { localWrappingKey } = await import('../envelope/local-wrapping-key.ts');
  // Bytes zeroed by an earlier call would still encrypt, and anyone could open the result.
  if (key.keyBytes.every((byte) => byte === 0)) throw new Error('a local key was used twice');
  const wrappingKey = localWrappingKey(key.fingerprint, key.keyBytes);
  key.keyBytes.fill(0);
  return wrappingKey;
}

/** A hash of 32 random bytes reveals nothing about them. 64 bits are enough to tell keys apart. */
const fingerprintOf = (keyBytes: Uint8Array): string =>
  createHash('sha256').update('kms-poc local key').update(keyBytes).digest('hex').slice(0, 16);

const serializeKeyFile = (keyBytes: Uint8Array): string =>
  '# A local key of kms-poc. Anyone who has this file can read the messages encrypted with it,\n' +
  '# and without it nobody can: keep it secret, and back it up.\n' +
  `${Buffer.from(keyBytes).toString('base64')}\n`;

function parseKeyFile(text: Buffer): Uint8Array | undefined {
  const lines = text
    .toString('utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const [line] = lines;
  if (lines.length !== 1 || line === undefined || !/^[A-Za-z0-9+/]{43}=$/.test(line)) {
    return undefined;
  }
  return Buffer.from(line, 'base64');
}
