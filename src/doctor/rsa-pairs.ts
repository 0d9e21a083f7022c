/** Finds out which of the available RSA keys belong together, in files and in Vault. */
import { createPublicKey, type KeyObject } from 'node:crypto';

import { KmsPocError } from '../errors.ts';
import { keyReferenceText } from '../keys/key-reference.ts';
import { type Check, check, ok } from './check.ts';
import { allKeys, type NamedKey, type Subject } from './subject.ts';

interface RsaHalf {
  /** The name of its file, or of the key in Vault. */
  readonly title: string;
  /** Of a key in Vault, its newest version's. */
  readonly fingerprint: string;
  /** Of a key in Vault, all of its versions'. */
  readonly fingerprints: readonly string[];
  /** Whether it is the private half, which opens messages. */
  readonly opens: boolean;
  /** Of a key in Vault, where encrypting takes a file. */
  readonly publicKey?: KeyObject;
}

/** The keys that could be read. The others have rows of their own that say what is wrong. */
export type RsaKeys = ReadonlyMap<NamedKey, RsaHalf>;

export async function readRsaKeys(subject: Subject): Promise<RsaKeys> {
  const rsaKeys = new Map<NamedKey, RsaHalf>();
  for (const each of allKeys(subject)) {
    try {
      const half = await readHalf(subject, each);
      if (half !== undefined) rsaKeys.set(each, half);
    } catch (error) {
      if (!(error instanceof KmsPocError) || error.code === 'Interrupted') throw error;
    }
  }
  return rsaKeys;
}

async function readHalf(subject: Subject, { reference }: NamedKey): Promise<RsaHalf | undefined> {
  if (reference.kind === 'rsa') {
    const { readRsaKey } = await import('../keys/rsa-key.ts');
    const { file, fingerprint, key } = await readRsaKey(reference, subject.readPassphrase);
    const opens = key.type === 'private';
    return { title: file, fingerprint, fingerprints: [fingerprint], opens };
  }
  if (reference.kind !== 'vault') return undefined;
  const { publicKeys } = await (await subject.vault()).describe(reference);
  const newest = [...publicKeys].at(-1);
  if (newest === undefined) return undefined;
  const [fingerprint, { pem }] = newest;
  return {
    title: keyReferenceText(reference),
    fingerprint,
    fingerprints: [...publicKeys.keys()],
    opens: true,
    publicKey: createPublicKey(pem),
  };
}

/** The key that opens what was encrypted with this one: for a public key, its private key. */
export function openerOf(rsaKeys: RsaKeys, key: NamedKey): NamedKey | undefined {
  const rsaKey = rsaKeys.get(key);
  if (rsaKey === undefined || rsaKey.opens) return key;
  return [...rsaKeys].find(
    ([, each]) => each.opens && each.fingerprints.includes(rsaKey.fingerprint),
  )?.[0];
}

export const fingerprintOf = (rsaKeys: RsaKeys, key: NamedKey): string => {
  const fingerprint = rsaKeys.get(key)?.fingerprint;
  return fingerprint === undefined ? '' : ` (${fingerprint})`;
};

/** Says which backup key a private key belongs to. */
export function whoseHalf(rsaKeys: RsaKeys, subject: Subject, key: NamedKey): string {
  const rsaKey = rsaKeys.get(key);
  if (rsaKey === undefined) return '';
  const partner = [subject.key, ...subject.backupKeys].find(
    (each) =>
      each !== undefined && rsaKey.fingerprints.includes(rsaKeys.get(each)?.fingerprint ?? ''),
  );
  const whose = partner === undefined ? 'for no key in use' : `for ${partner.name}`;
  return `: it is the private key ${whose} (${rsaKey.fingerprint})`;
}

/**
 * Passing a private key with --key is a drill for the backup keys, and fails with the wrong key.
 *
 * @returns undefined where there is nothing to compare
 */
export function comparePrivateKey(
  rsaKeys: RsaKeys,
  subject: Subject,
  key: NamedKey,
): Promise<Check> | undefined {
  const given = rsaKeys.get(key);
  const backups = subject.backupKeys.flatMap((each) => {
    const fingerprint = rsaKeys.get(each)?.fingerprint;
    return fingerprint === undefined ? [] : [{ name: each.name, fingerprint }];
  });
  if (given?.opens !== true || backups.length === 0) return undefined;
  return check('routes', `${key.name} is a backup key`, () => {
    const fits = backups.find(({ fingerprint }) => given.fingerprints.includes(fingerprint));
    if (fits !== undefined) return ok(`the private key for ${fits.name}`);
    throw new KmsPocError(
      'WrongKey',
      `The private key ${given.title} (${given.fingerprint}) does not match any backup key (${backups.map(({ fingerprint }) => fingerprint).join(', ')}).`,
      'Use the private key that belongs to the public key in BACKUP_KEYS.',
    );
  });
}
