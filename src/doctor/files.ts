/** Could somebody else have changed a file that this relies on, or read what is secret? */
import { stat } from 'node:fs/promises';

import { usageError } from '../errors.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import { advice, type Check, check, ok } from './check.ts';
import { allKeys, type Subject } from './subject.ts';

interface NamedFile {
  readonly what: string;
  readonly isSecret: boolean;
  /** Of a public key that is not pinned: another one in its place would open new messages. */
  readonly fingerprintToPin?: string;
}

/** Of a key that is not there the routes tell, or that can't be read. */
export async function* checkFiles(subject: Subject): AsyncGenerator<Check> {
  const { settingsFile, passphraseFile, vaultFiles, defaultLocalKeyFile, riskOf } = subject;
  const files = new Map<string, NamedFile>();
  if (settingsFile !== undefined) {
    files.set(settingsFile, { what: 'settings file', isSecret: true });
  }
  if (passphraseFile !== undefined) {
    files.set(passphraseFile, { what: 'passphrase file', isSecret: true });
  }
  for (const { file, ...named } of vaultFiles) files.set(file, named);
  for (const { reference } of allKeys(subject)) {
    if (reference.kind === 'aws' || reference.kind === 'vault') continue;
    files.set(reference.file ?? defaultLocalKeyFile(), await describe(reference));
  }
  for (const [file, { what, isSecret, fingerprintToPin }] of files) {
    const found = await stat(file).catch(() => undefined);
    if (found === undefined && file !== passphraseFile) continue;
    yield await check('files', what, () => {
      if (found === undefined) {
        throw usageError(`There is no passphrase file ${file}.`, 'Check RSA_PASSPHRASE_FILE.');
      }
      const mode = `mode ${(found.mode & 0o777).toString(8).padStart(4, '0')}`;
      const risk = riskOf(file, found, isSecret);
      if (risk !== undefined)
        throw usageError(`${risk.text.replace(/^other/, 'Other')} (${mode}).`, `Run: ${risk.fix}`);
      if (fingerprintToPin === undefined) return ok(`${file} (${mode})`);
      return advice(
        `${file} (${mode}) is not pinned`,
        `To notice another key in its place, name it rsa:${file}#${fingerprintToPin}`,
      );
    });
  }
}

async function describe(
  reference: Exclude<KeyReference, { kind: 'aws' | 'vault' }>,
): Promise<NamedFile> {
  if (reference.kind === 'local') return { what: 'local key', isSecret: true };
  const { holdsPrivateKey, readRsaKey } = await import('../keys/rsa-key.ts');
  try {
    if (await holdsPrivateKey(reference.file)) return { what: 'RSA key', isSecret: true };
    const { fingerprint } = await readRsaKey(reference, () => Promise.resolve(new Uint8Array()));
    const isPinned = reference.fingerprint !== undefined;
    return {
      what: 'RSA public key',
      isSecret: false,
      ...(!isPinned && { fingerprintToPin: fingerprint }),
    };
  } catch {
    return { what: 'RSA key', isSecret: false }; // the routes say what is wrong with it
  }
}
