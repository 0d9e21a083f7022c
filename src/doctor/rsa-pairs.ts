/** Finds out which of the available RSA keys belong together. */
import { KmsPocError } from '../errors.ts';
import type { RsaKey } from '../keys/rsa-key.ts';
import { type Check, check, ok } from './check.ts';
import { allKeys, type NamedKey, type Subject } from './subject.ts';

/** The keys that could be read. The others have rows of their own that say what is wrong. */
export type RsaKeys = ReadonlyMap<NamedKey, RsaKey>;

export async function readRsaKeys(subject: Subject): Promise<RsaKeys> {
  const rsaKeys = new Map<NamedKey, RsaKey>();
  for (const each of allKeys(subject)) {
    if (each.reference.kind !== 'rsa') continue;
    const { readRsaKey } = await import('../keys/rsa-key.ts');
    try {
      rsaKeys.set(each, await readRsaKey(each.reference, subject.readPassphrase));
    } catch (error) {
      if (!(error instanceof KmsPocError) || error.code === 'Interrupted') throw error;
    }
  }
  return rsaKeys;
}

/** The key that opens what was encrypted with this one: for a public key, its private key. */
export function openerOf(rsaKeys: RsaKeys, key: NamedKey): NamedKey | undefined {
  const rsaKey = rsaKeys.get(key);
  if (rsaKey === undefined || rsaKey.key.type === 'private') return key;
  return [...rsaKeys].find(
    ([, each]) => each.key.type === 'private' && each.fingerprint === rsaKey.fingerprint,
  )?.[0];
}

export const fingerprintOf = (rsaKeys: RsaKeys, key: NamedKey): string => {
  const fingerprint = rsaKeys.get(key)?.fingerprint;
  return fingerprint === undefined ? '' : ` (${fingerprint})`;
};

/** Says which backup key a private key belongs to. */
export function whoseHalf(rsaKeys: RsaKeys, subject: Subject, key: NamedKey): string {
  const fingerprint = rsaKeys.get(key)?.fingerprint;
  if (fingerprint === undefined) return '';
  const partner = [subject.key, ...subject.backupKeys].find(
    (each) => each !== undefined && rsaKeys.get(each)?.fingerprint === fingerprint,
  );
  const whose = partner === undefined ? 'for no key in use' : `for ${partner.name}`;
  return `: it is the private key ${whose} (${fingerprint})`;
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
  if (given?.key.type !== 'private' || backups.length === 0) return undefined;
  return check('routes', `${key.name} is a backup key`, () => {
    const fits = backups.find(({ fingerprint }) => fingerprint === given.fingerprint);
    if (fits !== undefined) return ok(`the private key for ${fits.name}`);
    throw new KmsPocError(
      'WrongKey',
      `The private key ${given.file} (${given.fingerprint}) does not match any backup key (${backups.map(({ fingerprint }) => fingerprint).join(', ')}).`,
      'Use the private key that belongs to the public key in BACKUP_KEYS.',
    );
  });
}
