/** The user's own folders, where each system keeps them: the XDG base directories on Linux. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { env, platform } from 'node:process';

const places = {
  data: {
    variable: 'XDG_DATA_HOME',
    linux: ['.local', 'share'],
    darwin: ['Library', 'Application Support'],
  },
  cache: { variable: 'XDG_CACHE_HOME', linux: ['.cache'], darwin: ['Library', 'Caches'] },
} as const;

export function userFolder(kind: keyof typeof places): string {
  const { variable, linux, darwin } = places[kind];
  if (platform === 'darwin') return join(homedir(), ...darwin);
  const given = env[variable];
  // An empty or relative path counts as not set, as the specification says. Otherwise the local key
  // would be a different one in each current folder.
  return given !== undefined && isAbsolute(given) ? given : join(homedir(), ...linux);
}
