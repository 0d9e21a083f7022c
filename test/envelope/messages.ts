/** Messages for the tests of the envelope, our own and those of other tools. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { buildEncrypt } from '@aws-crypto/encrypt-node';
import {
  AlgorithmSuiteIdentifier,
  CommitmentPolicy,
  type EncryptionContext,
} from '@aws-crypto/material-management-node';
import { decodeBodyHeader } from '@aws-crypto/serialize';
import { KmsPocError, type ErrorCode } from '../../src/errors.ts';
import { decryptMessage, type DecryptMessageOptions } from '../../src/envelope/decrypt.ts';
import { encryptionMaterials, encryptMessage } from '../../src/envelope/encrypt.ts';
import { parseHeader, type EnvelopeHeader } from '../../src/envelope/header.ts';
import { localWrappingKey } from '../../src/envelope/local-wrapping-key.ts';
import type { UnwrappingKey, WrappingKey } from '../../src/envelope/wrapping-key.ts';
import { collect, inPieces, outcomeOf, type Outcome } from '../support/bytes.ts';

/** A key that is already open. */
export const openedKey = (key: WrappingKey): UnwrappingKey => ({
  name: key.name,
  mayBeNamedBy: (dataKey) => key.isNamedBy(dataKey),
  open: () => Promise.resolve(key),
});

export const wrappingKey = localWrappingKey('3f9a0c11', randomBytes(32));

export interface EncryptChoices {
  user?: string;
  keys?: readonly WrappingKey[];
  frameLength?: number;
  /** Lengths of the pieces in which the plaintext comes. */
  pieces?: readonly number[];
}

export const encrypt = async (
  plaintext: Uint8Array,
  { user = 'alice', keys = [wrappingKey], frameLength, pieces }: EncryptChoices = {},
): Promise<Buffer> =>
  collect(
    encryptMessage({
      materialsManager: encryptionMaterials(keys),
      user,
      plaintext: inPieces(plaintext, pieces),
      ...(frameLength === undefined ? {} : { frameLength }),
    }),
  );

export type DecryptChoices = Partial<Omit<DecryptMessageOptions, 'ciphertext' | 'keys'>> & {
  keys?: readonly WrappingKey[];
  pieces?: readonly number[];
};

export const decrypt = (
  ciphertext: Uint8Array,
  { pieces, keys = [wrappingKey], ...choices }: DecryptChoices = {},
): AsyncGenerator<Uint8Array> =>
  decryptMessage({
    keys: keys.map(openedKey),
    user: 'alice',
    outputHeldUntilEnd: false,
    ciphertext: inPieces(ciphertext, pieces),
    ...choices,
  });

/** A message that another program might have written with the AWS Encryption SDK. */
export const encryptForeign = async (
  plaintext: Uint8Array,
  {
    suite = 'ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384',
    encryptionContext = { user: 'alice' },
    frameLength = 4096,
  }: {
    suite?: keyof typeof AlgorithmSuiteIdentifier;
    encryptionContext?: EncryptionContext;
    frameLength?: number;
  } = {},
): Promise<Buffer> => {
  const suiteId = AlgorithmSuiteIdentifier[suite];
  const { encrypt: libraryEncrypt } = buildEncrypt(
    suite.includes('COMMIT_KEY')
      ? CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
      : CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
  );
  const { result } = await libraryEncrypt(wrappingKey.keyring, Buffer.from(plaintext), {
    suiteId,
    encryptionContext,
    frameLength,
  });
  return result;
};

/** The message must be refused with this code, without a byte coming out. */
export const assertRefused = async (
  message: AsyncIterable<Uint8Array>,
  code: ErrorCode | readonly ErrorCode[],
  text?: RegExp,
): Promise<KmsPocError> => {
  const outcome = await outcomeOf(message);
  const error = assertError(outcome, code, text);
  assert.equal(outcome.output.length, 0, 'something came out');
  return error;
};

/** The outcome must be this error; bytes may have come out before it. */
export const assertError = (
  { error }: Outcome,
  code: ErrorCode | readonly ErrorCode[],
  text?: RegExp,
): KmsPocError => {
  assert.ok(error instanceof KmsPocError, `expected a refusal, got ${String(error)}`);
  const codes: readonly ErrorCode[] = typeof code === 'string' ? [code] : code;
  assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
  if (text !== undefined) assert.match(error.message, text);
  return error;
};

/** The positions of the parts of a message, found by parsing it. */
export interface Layout {
  header: EnvelopeHeader;
  /** The header's fields, as [start, end). */
  fields: Record<string, readonly [number, number]>;
  frames: readonly { start: number; content: number; tag: number; end: number; final: boolean }[];
}

/** @param message whole, version 2, unsigned, with one encrypted data key */
export const layoutOf = (message: Uint8Array): Layout => {
  const header = parseHeader(message);
  assert.ok(header);
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);

  const fields: Record<string, readonly [number, number]> = {};
  let position = 0;
  const field = (name: string, length: number): void => {
    fields[name] = [position, position + length];
    position += length;
  };
  const sized = (name: string): void => {
    field(`${name} length`, 2);
    field(name, view.getUint16(position - 2));
  };
  field('version', 1);
  field('suite', 2);
  field('message id', 32);
  field('context length', 2);
  field('context count', 2);
  sized('context key');
  sized('context value');
  field('data key count', 2);
  sized('provider id');
  sized('provider info');
  sized('encrypted data key');
  field('content type', 1);
  field('frame length', 4);
  field('commitment', 32);
  field('header tag', 16);
  assert.equal(position, header.headerLength);

  const frames: Layout['frames'][number][] = [];
  while (position < message.length) {
    const frame = decodeBodyHeader(message.subarray(position), header.info, 0);
    assert.ok(frame);
    const content = position + frame.readPos;
    const tag = content + frame.contentLength;
    frames.push({ start: position, content, tag, end: tag + 16, final: frame.isFinalFrame });
    position = tag + 16;
  }
  return { header, fields, frames };
};
