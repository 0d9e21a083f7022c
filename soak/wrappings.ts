/** How a ciphertext gets to the reader, and how anyone would get the bytes back. */

export interface Wrapping {
  readonly wrap: (bytes: Buffer) => Buffer;
  /**
   * Reads what may have been changed, in the most forgiving way that there is: what not even this
   * makes a sound message of must be refused.
   *
   * @returns undefined for what can't be read
   */
  readonly unwrap: (input: Buffer) => Buffer | undefined;
}

/** Node's decoder drops what it does not know. */
const fromBase64 = (text: Buffer): Buffer => Buffer.from(text.toString('latin1'), 'base64');

const inBase64 = (format: (base64: string) => string): Wrapping => ({
  wrap: (bytes) => Buffer.from(format(bytes.toString('base64'))),
  unwrap: fromBase64,
});

const inJson = (name: string, around: Readonly<Record<string, string>>): Wrapping => ({
  wrap: (bytes) =>
    Buffer.from(`${JSON.stringify({ ...around, [name]: bytes.toString('base64') }, null, 2)}\n`),
  unwrap: (input) => {
    try {
      const object = JSON.parse(input.toString('utf8')) as Record<string, unknown>;
      const value = object.CiphertextBlob ?? object.ciphertext;
      return typeof value === 'string' ? fromBase64(Buffer.from(value)) : undefined;
    } catch {
      return undefined;
    }
  },
});

const bytesAsTheyAre = 'bytes';

export const wrappings: Readonly<Record<string, Wrapping>> = {
  [bytesAsTheyAre]: { wrap: (bytes) => bytes, unwrap: (input) => input },
  base64: inBase64((base64) => `${base64}\n`),
  'base64 as it gets pasted': inBase64(
    (base64) =>
      `"${base64.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_').replace(/.{64}/g, '$&\r\n')}"\r\n`,
  ),
  'base64 of base64': {
    wrap: (bytes) => Buffer.from(Buffer.from(bytes.toString('base64')).toString('base64')),
    unwrap: (input) => fromBase64(fromBase64(input)),
  },
  'JSON of aws kms encrypt': inJson('CiphertextBlob', {
    KeyId: 'arn:aws:kms:eu-central-1:123456789012:key/x',
    EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
  }),
  'JSON of kms-encrypt': inJson('ciphertext', { user: 'alice', key: 'x' }),
};

export const isBytes = (wrapping: string): boolean => wrapping === bytesAsTheyAre;
