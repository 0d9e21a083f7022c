/** The files that a run's keys and settings are in. */
import type { KeyReference } from '../keys/key-reference.ts';
import { defaultLocalKeyFile } from './folders.ts';
import type { Settings } from './settings.ts';

/** @returns their paths. An output in the place of one of them would lose it, and messages with it. */
export const filesInUse = (settings: Settings, keys: readonly KeyReference[]): string[] =>
  [
    settings.file?.path,
    settings.passphraseFile(),
    ...keys.map((key) => {
      if (key.kind === 'local') return key.file ?? defaultLocalKeyFile();
      return key.kind === 'rsa' ? key.file : undefined;
    }),
  ].filter((path) => path !== undefined);
