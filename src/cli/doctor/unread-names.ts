/** Names in a settings file that nothing reads, though they look like settings. */
import { advice, type Finding } from '../../doctor/check.ts';
import { nearest } from '../nearest.ts';
import { settingNames, type SettingsFile } from '../setting.ts';

/** The AWS SDK reads them, but it doesn't read the file. */
const onlyFromEnvironment = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];

/** A row for each such name. Without it, a misspelt BACKUP_KEYS is a backup that isn't there. */
export function unreadRows(file: SettingsFile | undefined): [string, () => Finding][] {
  const names: readonly string[] = settingNames;
  return Object.keys(file?.values ?? {}).flatMap((name): [string, () => Finding][] => {
    const hint = names.includes(name) ? undefined : hintFor(name);
    return hint === undefined
      ? []
      : [[name, () => advice(`not read from ${file?.path ?? ''}`, hint)]];
  });
}

/** @returns undefined if it may well be another program's */
function hintFor(name: string): string | undefined {
  if (name === 'AWS_DEFAULT_REGION') return 'Use AWS_REGION.';
  if (onlyFromEnvironment.includes(name)) return 'It only counts in the environment: export it.';
  const near = nearest(name, settingNames, 4);
  // Others of AWS's endpoints differ in a letter or two; KEY, or SIGNAL_URL, is another program's.
  const isNear =
    near !== undefined &&
    name.length > 3 &&
    Math.abs(near.length - name.length) <= 5 &&
    !name.startsWith('AWS_ENDPOINT_URL_');
  if (isNear) return `Did you mean ${near}?`;
  return /^(?:EN|DE)CRYPTOR_/.test(name) ? 'See .env.example for the names that are.' : undefined;
}
