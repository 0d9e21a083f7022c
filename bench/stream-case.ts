/**
 * One measurement of a stream, in a process of its own so that its memory is its own too:
 * `stream-case CASE FILE`. Prints `{ milliseconds, maxRssMebibytes }`.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { createReadStream, createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { buildDecrypt } from '@aws-crypto/decrypt-node';
import { buildEncrypt } from '@aws-crypto/encrypt-node';
import { decryptMessage } from '../src/envelope/decrypt.ts';
import { encryptionMaterials, encryptMessage } from '../src/envelope/encrypt.ts';
import { mebibyte } from '../src/envelope/limits.ts';
import { localWrappingKey } from '../src/envelope/local-wrapping-key.ts';
import { openedKey } from '../src/envelope/wrapping-key.ts';

const user = 'alice';
const keyBytes = Buffer.alloc(32, 7);
const plainIv = Buffer.alloc(12);

const read = (file: string) => createReadStream(file, { highWaterMark: mebibyte });

/** Takes the bytes and forgets them: the disk is not what is measured. */
const nowhere = () =>
  new Writable({
    highWaterMark: mebibyte,
    write: (_bytes, _encoding, done) => {
      done();
    },
  });

const ourEncryption = (file: string) =>
  encryptMessage({
    materialsManager: encryptionMaterials([localWrappingKey('bench', keyBytes)]),
    user,
    plaintext: read(file),
  });

const libraryEncryption = (file: string) => {
  const { encryptStream } = buildEncrypt();
  const stream = encryptStream(localWrappingKey('bench', keyBytes).keyring, {
    encryptionContext: { user },
  });
  return read(file).pipe(stream);
};

const cases: Record<string, (file: string) => Promise<void>> = {
  'plain-encrypt': async (file) => {
    await pipeline(read(file), createCipheriv('aes-256-gcm', keyBytes, plainIv), nowhere());
  },
  'plain-decrypt': async (file) => {
    const decipher = createDecipheriv('aes-256-gcm', keyBytes, plainIv);
    decipher.setAuthTag(readFileSync(`${file}.gcm.tag`));
    await pipeline(read(`${file}.gcm`), decipher, nowhere());
  },
  encrypt: async (file) => {
    await pipeline(ourEncryption(file), nowhere());
  },
  decrypt: async (file) => {
    const plaintext = decryptMessage({
      keys: [openedKey(localWrappingKey('bench', keyBytes))],
      user,
      ciphertext: read(`${file}.ours`),
      outputHeldUntilEnd: false,
    });
    await pipeline(plaintext, nowhere());
  },
  'library-encrypt': async (file) => {
    await pipeline(libraryEncryption(file), nowhere());
  },
  'library-decrypt': async (file) => {
    const stream = buildDecrypt().decryptStream(localWrappingKey('bench', keyBytes).keyring);
    await pipeline(read(`${file}.library`), stream, nowhere());
  },
  /** Makes what the decrypting cases read. */
  'prepare-plain': async (file) => {
    const cipher = createCipheriv('aes-256-gcm', keyBytes, plainIv);
    await pipeline(read(file), cipher, createWriteStream(`${file}.gcm`));
    writeFileSync(`${file}.gcm.tag`, cipher.getAuthTag());
  },
  'prepare-ours': async (file) => {
    await pipeline(ourEncryption(file), createWriteStream(`${file}.ours`));
  },
  'prepare-library': async (file) => {
    await pipeline(libraryEncryption(file), createWriteStream(`${file}.library`));
  },
};

const main = async ([name = '', file = '']: string[]): Promise<void> => {
  const measured = cases[name];
  if (measured === undefined) throw new Error(`no such case: ${name}`);
  const start = performance.now();
  await measured(file);
  const milliseconds = performance.now() - start;
  const maxRssMebibytes = process.resourceUsage().maxRSS / 1024;
  process.stdout.write(JSON.stringify({ milliseconds, maxRssMebibytes }));
};

await main(process.argv.slice(2));
