/** The user's own folders, where each system keeps them: the XDG base directories on Linux. */
import { isAbsolute, join } from 'node:path';
import { env, platform } from 'node:process';

import { usageError } from '../errors.ts';
import { homeFolder, isNotUtf8, isUtf8Name } from '../formats/file-name.ts';

const places = {
  data: {
    variable: 'XDG_DATA_HOME',
    linux: ['.local', 'share'],
    darwin: ['Library', 'Application Support'],
  },
  cache: { variable: 'XDG_CACHE_HOME', linux: ['.cache'], darwin: ['Library', 'Caches'] },
} as const;

/** @returns undefined if the user has none: HOME is not set, as in a container */
export function userFolder(kind: keyof typeof places): string | undefined {
  const { variable, linux, darwin } = places[kind];
  const usual = homeFolder && join(homeFolder, ...(platform === 'darwin' ? darwin : linux));
  const given = env[variable];
  // An empty or relative path counts as not set, as the specification says. Otherwise the local key
  // would be a different one in each current folder.
  return platform !== 'darwin' && given !== undefined && isAbsolute(given) ? given : usual;
}

/** @throws KmsPocError Usage, if the user has no folder for it */
export function defaultLocalKeyFile(): string {
  const folder = userFolder('data');
  if (folder !== undefined) {
    if (isUtf8Name(folder)) return join(folder, 'kms-poc', 'local.key');
    throw usageError(
      `The folder of the local key has a name that ${isNotUtf8}: ${folder}.`,
      'Name the file of the key: --key local:FILE',
    );
  }
  throw usageError(
    'There is no home folder (HOME is not set), so the local key has no default place.',
    'Set HOME, or name the file: --key local:FILE',
  );
}
