/** Reads golden.json: how each file is opened, and what must come out. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ErrorCode } from '../../src/errors.ts';

export const goldenFolder = import.meta.dirname;

/** The folders whose files never change. */
export const frozenFolders = ['messages', 'plaintexts', 'test-keys'];

/** Such as `messages/local.enc`, in order. */
export const frozenFiles = (): string[] =>
  frozenFolders.flatMap((folder) =>
    readdirSync(join(goldenFolder, folder))
      .sort()
      .map((name) => `${folder}/${name}`),
  );

/** The hash of each file when it was added, in the format of `sha256sum`. */
export const sumsFile = join(goldenFolder, 'SHA256SUMS');

export const readSums = (): Map<string, string> =>
  new Map(
    readFileSync(sumsFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line): [string, string] => {
        const [sum = '', name = ''] = line.split('  ');
        return [name, sum];
      }),
  );

export const sumOf = (name: string): string =>
  createHash('sha256')
    .update(readFileSync(join(goldenFolder, name)))
    .digest('hex');

/**
 * How a copy differs from its file. Positions count the file's own bytes, even if those are base64.
 */
export type Change =
  /** One bit is flipped; bit 0 is the lowest. */
  | { flip: number; bit: number }
  /** Only this many bytes are left. */
  | { cut: number }
  /** Bytes are appended, in hexadecimal. */
  | { append: string }
  /** Bytes are overwritten with these, in hexadecimal. */
  | { write: string; at: number }
  /** These ranges, one after the other; from another message if one is named. */
  | { parts: { file?: string; from: number; to: number }[] };

export type Gives =
  | { text: string }
  | { base64: string }
  | {
      /** In plaintexts/. */
      file: string;
      /** In a batch: the lines that fail instead, counted from 1, and why. */
      failingLines?: Record<string, ErrorCode>;
    };

export interface Vector {
  /** Unique. */
  name: string;
  /**
   * In messages/. The extension says what it contains: .enc bytes, .b64 base64, .json, .jsonl a
   * batch.
   */
  file: string;
  change?: Change;
  /** Not for a batch, whose lines say it. */
  user?: string;
  /** As --key takes them. */
  keys: string[];
  /** What must come out, to the byte. Either this or `fails`. */
  gives?: Gives;
  fails?: {
    status: number;
    code: ErrorCode;
    /**
     * How many bytes of the plaintext may come out before the error: those of the frames before the
     * changed one. 0 by default. (They don't have to: pieces this small are joined before they come
     * out, and then none do.)
     */
    mayPrint?: number;
  };
  /** Why it fails, or why the changed copy gives what it gives. */
  why?: string;
  /** What --inspect --json must at least say about it. */
  inspect?: Record<string, unknown>;
}

const vectorFields = ['name', 'file', 'change', 'user', 'keys', 'gives', 'fails', 'why', 'inspect'];

/** @throws if golden.json says something that would not be checked */
export function readVectors(): Vector[] {
  const json = readFileSync(join(goldenFolder, 'golden.json'), 'utf8');
  const vectors = JSON.parse(json) as Vector[];
  const names = new Set<string>();
  for (const vector of vectors) {
    const { name, gives, fails, why } = vector;
    assert.ok(!names.has(name), `two vectors are called ${name}`);
    names.add(name);
    const unknown = Object.keys(vector).filter((field) => !vectorFields.includes(field));
    assert.deepEqual(unknown, [], name);
    assert.ok((gives === undefined) !== (fails === undefined), `${name}: one of gives and fails`);
    const isPlain = fails === undefined && vector.change === undefined;
    assert.equal(why === undefined, isPlain, `${name}: why goes with what fails or was changed`);
    assert.equal(vector.user === undefined, isBatch(vector), `${name}: a user, or a batch`);
  }
  return vectors;
}

export const isBatch = ({ file }: Vector): boolean => file.endsWith('.jsonl');

const readMessage = (file: string): Buffer => readFileSync(join(goldenFolder, 'messages', file));

/** The input of kms-decrypt: the file, or its changed copy. */
export function ciphertextOf({ name, file, change }: Vector): Buffer {
  const original = readMessage(file);
  if (change === undefined) return original;
  const changed = changedCopy(original, change);
  assert.ok(!changed.equals(original), `${name}: nothing was changed`);
  return changed;
}

function changedCopy(original: Buffer, change: Change): Buffer {
  if ('flip' in change) {
    const copy = Buffer.from(original);
    copy.writeUInt8(copy.readUInt8(change.flip) ^ (1 << change.bit), change.flip);
    return copy;
  }
  if ('cut' in change) return original.subarray(0, change.cut);
  if ('append' in change) return Buffer.concat([original, Buffer.from(change.append, 'hex')]);
  if ('write' in change) {
    const copy = Buffer.from(original);
    Buffer.from(change.write, 'hex').copy(copy, change.at);
    return copy;
  }
  return Buffer.concat(
    change.parts.map(({ file, from, to }) =>
      (file === undefined ? original : readMessage(file)).subarray(from, to),
    ),
  );
}

export function plaintextOf(gives: Gives): Buffer {
  if ('text' in gives) return Buffer.from(gives.text);
  if ('base64' in gives) return Buffer.from(gives.base64, 'base64');
  return readFileSync(join(goldenFolder, 'plaintexts', gives.file));
}

/** What the unchanged file gives; nothing if it is refused as it is. */
export function plaintextIn(vectors: readonly Vector[], file: string): Buffer {
  const opened = vectors.find(
    (vector) => vector.file === file && vector.change === undefined && vector.gives !== undefined,
  );
  return opened?.gives === undefined ? Buffer.alloc(0) : plaintextOf(opened.gives);
}
