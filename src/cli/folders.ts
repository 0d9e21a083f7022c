/** The user's own folders for data and caches. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * @param given what a variable says. Empty or relative it counts as not set, as the XDG base
 *   directory specification has it: the local key would else be another one in each current folder
 * @param place where it is below the home folder, if nothing is given
 */
export const homeFolder = (given: string | undefined, ...place: string[]): string =>
  given !== undefined && isAbsolute(given) ? given : join(homedir(), ...place);
