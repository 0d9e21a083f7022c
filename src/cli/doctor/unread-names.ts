/** What a settings file has under names that nothing reads, and that were probably meant to be read. */
import { distance } from 'fastest-levenshtein';

import { advice, type Finding } from '../../doctor/check.ts';
import { settingNames, type SettingsFile } from '../setting.ts';

/** The names of ours and of the services begin like this. Others may be another program's. */
const prefixes = /^(?:AWS|BAO|DECRYPTOR|ENCRYPTOR|VAULT)_/;

/** A row for each such name. Without it, a misspelt BACKUP_KEYS is a backup that isn't there. */
export function unreadRows(file: SettingsFile | undefined): [string, () => Finding][] {
  const names: readonly string[] = settingNames;
  return Object.keys(file?.values ?? {}).flatMap((name): [string, () => Finding][] => {
    if (names.includes(name)) return [];
    const near = names.find((each) => name.length > 3 && distance(name.toUpperCase(), each) <= 2);
    if (near === undefined && !prefixes.test(name)) return [];
    const hint =
      near === undefined ? 'Export it instead, or see .env.example.' : `Did you mean ${near}?`;
    return [[name, () => advice(`not read from ${file?.path ?? ''}`, hint)]];
  });
}
