/**
 * RSA keys in PEM files. The public key encrypts and needs nothing else; the private key can be
 * kept offline, or in any key service that decrypts RSA-OAEP.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import type { Stats } from 'node:fs';

import { KmsPocError, reasonOf, systemCode, usageError } from '../errors.ts';
import { rsaFingerprint } from '../formats/rsa-fingerprint.ts';
import { toUtf8 } from '../formats/text.ts';
import { asBuffer } from '../streams/byte-stream.ts';
import { readSmallFile, type SmallFile } from '../streams/small-file.ts';
import type { RsaKeyReference } from './key-reference.ts';

interface RsaKey {
  readonly file: string;
  /** 32 hex digits of a hash of the public key. */
  readonly fingerprint: string;
  readonly key: KeyObject;
  readonly stat: Stats;
  /** Whether the file holds the private half, whichever half `key` is. */
  readonly isSecret: boolean;
}

/** Shorter RSA keys are not expected to stay secure: NIST SP 800-57 part 1, revision 5, table 2. */
const minModulusBits = 3072;

/**
 * @returns the public key; of a private key file its public half
 * @throws KmsPocError, as `readRsaKey`
 */
export async function readRsaPublicKey(
  reference: RsaKeyReference,
  readPassphrase: (file: string) => Promise<Uint8Array>,
): Promise<RsaKey> {
  const rsaKey = await readRsaKey(reference, readPassphrase);
  return rsaKey.key.type === 'public' ? rsaKey : { ...rsaKey, key: createPublicKey(rsaKey.key) };
}

/**
 * @param readPassphrase asked only where the file has one
 * @returns the private key; of a file with none the public one, which tells whose messages it could
 *   open if its private half were there
 * @throws KmsPocError KeyNotFound, KeyUnusable; Usage: the file holds another key than the one that is
 *   pinned
 */
export async function readRsaKey(
  { file, fingerprint: pinned }: RsaKeyReference,
  readPassphrase: (file: string) => Promise<Uint8Array>,
): Promise<RsaKey> {
  const { bytes: pem, stat } = await readPem(file);
  let key: KeyObject;
  try {
    key = isPrivate(pem)
      ? await parsePrivateKey(file, pem, readPassphrase)
      : parse(file, () => createPublicKey(pem));
  } finally {
    pem.fill(0);
  }
  const rsaKey = describe(file, stat, key);
  if (pinned === undefined || pinned === rsaKey.fingerprint) return rsaKey;
  throw usageError(
    `The RSA key ${file} has the fingerprint ${rsaKey.fingerprint}, not the pinned ${pinned}.`,
    `Somebody may have replaced it. If that was you, pin the new one: rsa:${file}#${rsaKey.fingerprint}`,
  );
}

/**
 * Whether a file holds a private key, without needing its passphrase.
 *
 * @throws KmsPocError KeyNotFound, KeyUnusable
 */
export async function holdsPrivateKey(file: string): Promise<boolean> {
  const { bytes } = await readPem(file);
  const found = isPrivate(bytes);
  bytes.fill(0);
  return found;
}

/** For a message that the private key would open, if it were here. */
export const privateKeyMissing = (file: string): KmsPocError =>
  new KmsPocError(
    'KeyUnusable',
    `${file} is a public key; decrypting needs the private key.`,
    'Pass the private key file: --key rsa:FILE.',
  );

async function readPem(file: string): Promise<SmallFile> {
  try {
    const { bytes, stat } = await readSmallFile(file);
    // A comment above the key can be in any encoding.
    return { bytes: toUtf8(bytes) ?? bytes, stat };
  } catch (cause) {
    const code = systemCode(cause);
    throw new KmsPocError(
      code === 'ENOENT' ? 'KeyNotFound' : 'KeyUnusable',
      `Can't read the RSA key file ${file}: ${reasonOf(cause)}.`,
      file.includes('#')
        ? 'Check the path after rsa:. A fingerprint, after #, has 32 hexadecimal digits.'
        : 'Check the path after rsa:.',
      { cause },
    );
  }
}

const isPrivate = (pem: Buffer): boolean => pem.includes(' PRIVATE KEY-----');

const hasPassphrase = (pem: Buffer): boolean =>
  pem.includes('BEGIN ENCRYPTED PRIVATE KEY') || pem.includes('Proc-Type: 4,ENCRYPTED');

async function parsePrivateKey(
  file: string,
  pem: Buffer,
  readPassphrase: (file: string) => Promise<Uint8Array>,
): Promise<KeyObject> {
  if (!hasPassphrase(pem)) return parse(file, () => createPrivateKey(pem));
  // The bytes themselves, not a copy: they are zeroed below.
  const passphrase = asBuffer(await readPassphrase(file));
  try {
    return createPrivateKey({ key: pem, passphrase });
  } catch (cause) {
    throw new KmsPocError(
      'KeyUnusable',
      `Wrong passphrase for the RSA key file ${file}.`,
      /\s$/.test(passphrase.toString('latin1'))
        ? 'It ends in a blank, which is part of it: remove that, if it is there by mistake.'
        : 'Try again, or check RSA_PASSPHRASE_FILE.',
      { cause },
    );
  } finally {
    passphrase.fill(0);
  }
}

function parse(file: string, parsePem: () => KeyObject): KeyObject {
  try {
    return parsePem();
  } catch (cause) {
    throw new KmsPocError(
      'KeyUnusable',
      `${file} is not an RSA key in PEM format.`,
      'A PEM file starts with -----BEGIN PUBLIC KEY----- or -----BEGIN PRIVATE KEY-----.',
      { cause },
    );
  }
}

function describe(file: string, stat: Stats, key: KeyObject): RsaKey {
  const isSecret = key.type === 'private';
  const publicKey = isSecret ? createPublicKey(key) : key;
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
  if (publicKey.asymmetricKeyType !== 'rsa' || bits < minModulusBits) {
    throw new KmsPocError(
      'KeyUnusable',
      publicKey.asymmetricKeyType === 'rsa'
        ? `The RSA key ${file} has ${bits} bits; at least ${minModulusBits} are required.`
        : `${file} is not an RSA key.`,
      `Create one with at least ${minModulusBits} bits: see docs/recovery.md.`,
    );
  }
  return { file, fingerprint: rsaFingerprint(publicKey), key, stat, isSecret };
}
