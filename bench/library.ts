/**
 * The references that use the Encryption SDK the way its own examples do:
 *
 * - `stream-encrypt`, `stream-decrypt FILE`: a stream with its defaults (signed, frames of 4 KiB);
 *   a tenth of the speed is expected.
 * - `batch-encrypt`, `batch-decrypt FILE`: messages one by one, but without a signature, so that
 *   any advantage over it does not come from leaving that out.
 *
 * The result goes to standard output, and the milliseconds to standard error.
 */
import { createReadStream, readFileSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { buildDecrypt } from '@aws-crypto/decrypt-node';
import { buildEncrypt } from '@aws-crypto/encrypt-node';
import { AlgorithmSuiteIdentifier } from '@aws-crypto/material-management-node';
import { RawAesKeyringNode, RawAesWrappingSuiteIdentifier } from '@aws-crypto/raw-aes-keyring-node';

const { encrypt, encryptStream } = buildEncrypt();
const { decrypt, decryptStream } = buildDecrypt();

const keyring = new RawAesKeyringNode({
  keyName: 'bench',
  keyNamespace: 'bench',
  unencryptedMasterKey: new Uint8Array(32).fill(7),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
});
const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;

type Line = Readonly<Record<'user' | 'message' | 'ciphertext', string>>;

const readLines = (file: string): Line[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

const write = (line: Partial<Line>): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

const cases: Record<string, (file: string) => Promise<void>> = {
  'stream-encrypt': async (file) => {
    const stream = encryptStream(keyring, { encryptionContext: { user: 'alice' } });
    await pipeline(createReadStream(file), stream, process.stdout);
  },
  'stream-decrypt': async (file) => {
    await pipeline(createReadStream(file), decryptStream(keyring), process.stdout);
  },
  'batch-encrypt': async (file) => {
    for (const { user, message } of readLines(file)) {
      const options = { encryptionContext: { user }, suiteId };
      const { result } = await encrypt(keyring, Buffer.from(message), options);
      write({ user, ciphertext: result.toString('base64') });
    }
  },
  'batch-decrypt': async (file) => {
    for (const { user, ciphertext } of readLines(file)) {
      const { plaintext } = await decrypt(keyring, ciphertext, { encoding: 'base64' });
      write({ user, message: plaintext.toString() });
    }
  },
};

const [name = '', file = ''] = process.argv.slice(2);
const start = performance.now();
await cases[name]?.(file);
process.stderr.write(String(performance.now() - start));
