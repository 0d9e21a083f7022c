/** The files that a run's keys and settings are in. */
import { join } from 'node:path';
import { env } from 'node:process';

import { homeFolder } from '../formats/file-name.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import { defaultLocalKeyFile } from './folders.ts';
import type { Settings } from './settings.ts';

const awsFiles = [
  ['AWS_SHARED_CREDENTIALS_FILE', 'credentials'],
  ['AWS_CONFIG_FILE', 'config'],
] as const;

/** @returns their paths. An output in the place of one of them would lose it, and messages with it. */
export async function filesInUse(
  settings: Settings,
  keys: readonly KeyReference[],
): Promise<string[]> {
  const files = [settings.file?.path, settings.passphraseFile()];
  for (const key of keys) {
    if (key.kind === 'local') files.push(key.file ?? defaultLocalKeyFile());
    if (key.kind === 'rsa') files.push(key.file);
  }
  if (keys.some(({ kind }) => kind === 'aws')) {
    // https://docs.aws.amazon.com/sdkref/latest/guide/file-location.html
    for (const [variable, name] of awsFiles) {
      const given = env[variable] ?? '';
      files.push(given === '' ? homeFolder && join(homeFolder, '.aws', name) : given);
    }
  }
  if (keys.some(({ kind }) => kind === 'vault')) {
    const { vaultFiles } = await import('./vault-settings.ts');
    files.push(...vaultFiles(settings).map(({ file }) => file));
  }
  return files.filter((file) => file !== undefined);
}
