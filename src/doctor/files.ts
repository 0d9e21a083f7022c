/** Checks that others can't read what only you should. */
import { stat } from 'node:fs/promises';

import { usageError } from '../errors.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import { type Check, check, ok } from './check.ts';
import { allKeys, type Subject } from './subject.ts';

/** Skips keys that are missing or unreadable: the routes report those. */
export async function* checkFiles(subject: Subject): AsyncGenerator<Check> {
  const { settingsFile, passphraseFile, defaultLocalKeyFile } = subject;
  const files = new Map<string, string>();
  if (settingsFile !== undefined) files.set(settingsFile, 'settings file');
  if (passphraseFile !== undefined) files.set(passphraseFile, 'passphrase file');
  for (const { reference } of allKeys(subject)) {
    const file = await secretFileOf(reference, defaultLocalKeyFile);
    if (file !== undefined) files.set(file, reference.kind === 'rsa' ? 'RSA key' : 'local key');
  }
  for (const [file, what] of files) {
    const mode = await modeOf(file);
    if (mode === undefined && file !== passphraseFile) continue;
    yield await check('files', what, () => {
      if (mode === undefined) {
        throw usageError(`There is no passphrase file ${file}.`, 'Check RSA_PASSPHRASE_FILE.');
      }
      if ((mode & 0o077) !== 0) {
        throw usageError(
          `Other users can read or change ${file} (mode ${octal(mode)}).`,
          `Run: chmod 600 ${file}`,
        );
      }
      return ok(`${file} (mode ${octal(mode)})`);
    });
  }
}

/** @returns undefined for a key that is not in a file, or whose file anyone may read */
async function secretFileOf(
  reference: KeyReference,
  defaultLocalKeyFile: string,
): Promise<string | undefined> {
  switch (reference.kind) {
    case 'aws':
      return undefined;
    case 'local':
      return reference.file ?? defaultLocalKeyFile;
    case 'rsa': {
      const { holdsPrivateKey } = await import('../keys/rsa-key.ts');
      const isPrivate = await holdsPrivateKey(reference.file).catch(() => false);
      return isPrivate ? reference.file : undefined;
    }
  }
}

const modeOf = async (file: string): Promise<number | undefined> =>
  stat(file).then(
    ({ mode }) => mode & 0o777,
    () => undefined,
  );

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');
