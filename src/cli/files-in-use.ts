/** The files that a run's keys and settings are in. */
import { join } from 'node:path';
import { env } from 'node:process';

import { homeFolder } from '../formats/file-name.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import { defaultLocalKeyFile } from './folders.ts';
import { settingNames } from './setting.ts';
import type { Settings } from './settings.ts';

const awsFiles = [
  ['AWS_SHARED_CREDENTIALS_FILE', 'credentials'],
  ['AWS_CONFIG_FILE', 'config'],
] as const;

/** An output in its place would lose it, and messages with it. */
export interface FileInUse {
  readonly file: string;
  /** As in "there.key is a key file of this run". */
  readonly what: string;
  /** What the shell adds to it (`>> .env`) spoils it; not so with settings. */
  readonly isSpoiltByMore: boolean;
}

export async function filesInUse(
  settings: Settings,
  keys: readonly KeyReference[],
): Promise<FileInUse[]> {
  const files: FileInUse[] = [];
  const add = (file: string | undefined, what: string): void => {
    if (file !== undefined) files.push({ file, what, isSpoiltByMore: true });
  };
  // An .env that is another program's may be what is decrypted.
  const { file: own } = settings;
  if (own !== undefined && settingNames.some((name) => own.values[name])) {
    files.push({ file: own.path, what: 'the settings file', isSpoiltByMore: false });
  }
  add(settings.passphraseFile(), 'the passphrase file');
  for (const key of keys) {
    if (key.kind === 'local') add(key.file ?? defaultLocalKeyFile(), 'a key file');
    if (key.kind === 'rsa') add(key.file, 'a key file');
  }
  if (keys.some(({ kind }) => kind === 'aws')) {
    // https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
    for (const [variable, name] of awsFiles) {
      const given = env[variable] ?? '';
      const usual = homeFolder && join(homeFolder, '.aws', name);
      add(given === '' ? usual : given, `the AWS ${name} file`);
    }
  }
  if (keys.some(({ kind }) => kind === 'vault')) {
    const { vaultFiles } = await import('./vault-settings.ts');
    for (const { file, what } of vaultFiles(settings)) add(file, `the ${what} file`);
  }
  return files;
}
