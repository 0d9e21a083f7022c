/** The messages that get changed: the golden files, which are the same in every run. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  ciphertextOf,
  goldenFolder,
  isBatch,
  plaintextOf,
  readVectors,
} from '../test/golden/manifest.ts';
import { type Layout, layoutOf } from './layout.ts';

export interface Original {
  /** What it is, and which key opens it: a row of the table. */
  readonly name: string;
  readonly user: string;
  /** As `--key` takes them, relative to test/golden. */
  readonly keys: readonly string[];
  readonly bytes: Buffer;
  readonly plaintext: Buffer;
  /** Undefined for a KMS blob. */
  readonly layout: Layout | undefined;
}

/** Every format, rung and kind of key; and the lines of batches, which share a data key. */
export function readOriginals(): Original[] {
  const vectors = readVectors().filter(({ change }) => change === undefined);
  const originals = vectors.flatMap((vector): Original[] => {
    const { name, file, user, keys, gives } = vector;
    if (isBatch(vector)) return linesOf(vector);
    const isVersion1 = file.startsWith('version-1');
    // Text is made of the bytes here, and a passphrase only leads to the same key.
    if (!file.endsWith('.enc') || keys.some((key) => key.includes('passphrase'))) return [];
    if (isInVault(keys)) return [];
    if (user === undefined || (gives === undefined && !isVersion1)) return [];
    const plaintext = gives === undefined ? Buffer.from('this is a secret') : plaintextOf(gives);
    return [original({ name, user, keys, bytes: ciphertextOf(vector), plaintext })];
  });
  // As after a move from one key to the next, when settings name all of them.
  const everyKey = [...new Set(originals.flatMap(({ keys }) => keys))];
  const underAll = originals
    .filter(({ name }) => ['a local key', 'an RSA key', 'a blob of KMS'].includes(name))
    .map((each) => ({ ...each, name: `${each.name}, with all keys set`, keys: everyKey }));
  return [...originals, ...underAll];
}

const isInVault = (keys: readonly string[]): boolean =>
  keys.some((key) => key.startsWith('vault:'));

/** Messages that AWS's packages have no keyring for, so that there is nothing to compare with. */
export const leftOut = (): string[] =>
  readVectors()
    .filter(({ change, keys }) => change === undefined && isInVault(keys))
    .map(({ name }) => name);

function original(fields: Omit<Original, 'layout'>): Original {
  const { bytes } = fields;
  const isEnvelope = (bytes[0] === 2 && bytes[2] === 0x78) || (bytes[0] === 1 && bytes[1] === 0x80);
  return { ...fields, layout: isEnvelope ? layoutOf(bytes) : undefined };
}

interface Line {
  readonly user: string;
  readonly ciphertext: string;
  readonly message?: string;
  readonly messageBase64?: string;
}

const readLines = (folder: string, file: string): Line[] =>
  readFileSync(join(goldenFolder, folder, file), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

function linesOf({ name, file, keys }: { name: string; file: string; keys: string[] }): Original[] {
  const plaintexts = readLines('plaintexts', 'batch.jsonl');
  return readLines('messages', file).map(({ user, ciphertext }, index) => {
    const { message = '', messageBase64 } = plaintexts[index] ?? {};
    const plaintext =
      messageBase64 === undefined ? Buffer.from(message) : Buffer.from(messageBase64, 'base64');
    return original({ name, user, keys, bytes: Buffer.from(ciphertext, 'base64'), plaintext });
  });
}
