/** Names of files as people give them, in options and settings. */
import { homedir } from 'node:os';
import { isAbsolute } from 'node:path';

import { usageError } from '../errors.ts';

/** Undefined if there is none: HOME is not set (or no whole path), as in a container. */
export const homeFolder = ((): string | undefined => {
  try {
    const home = homedir();
    return isAbsolute(home) ? home.replace(/(?<=.)\/+$/, '') : undefined;
  } catch {
    return undefined; // no HOME, and no such user in /etc/passwd
  }
})();

/**
 * Node puts U+FFFD in the place of each byte that is not UTF-8: two names become one, and the file is
 * found under neither. A name that has a U+FFFD of its own can't be told from these.
 */
export const isUtf8Name = (name: string): boolean => !name.includes('\ufffd');

/** Follows "a name that". */
export const isNotUtf8 = 'is not valid UTF-8 or has a U+FFFD in it';

/**
 * @param title what to call the option or setting in an error
 * @returns the name, with `~/` at its start replaced by the home folder
 * @throws KmsPocError Usage
 */
export function expandFileName(name: string, title: string): string {
  const isInHome = name.startsWith('~/');
  if (isInHome && homeFolder === undefined) {
    throw usageError(
      `${title} is in the home folder (~/), and HOME is not set.`,
      'Set HOME, or use a whole path.',
    );
  }
  if (isInHome && !isUtf8Name(homeFolder ?? '')) {
    throw usageError(
      `${title} is in the home folder (~/), whose name ${isNotUtf8}.`,
      'Use a file in another folder.',
    );
  }
  if (!isUtf8Name(name)) {
    throw usageError(
      `${title} has a file name that ${isNotUtf8}.`,
      'Rename the file. A message can also be redirected: < FILE, > FILE',
    );
  }
  // As it stands: `join` would take `link/..` for the folder that the link is in.
  return isInHome ? `${homeFolder ?? ''}/${name.slice(2)}` : name;
}

/**
 * The same for the file of a key, which may be created under that name.
 *
 * @throws KmsPocError Usage, for a name that only a mistake can have: nothing replaces a variable or
 *   removes quotes in a setting
 */
export function expandKeyFileName(name: string, title: string): string {
  if (/[\x00-\x1f\x7f-\x9f]/.test(name)) {
    throw usageError(
      `${title} has a control character in its file name.`,
      'Remove it, or rename the file.',
    );
  }
  if (/^(["'`]).*\1$/.test(name)) {
    throw usageError(`${title} has quotes around its file name.`, 'Remove the quotes.');
  }
  if (name.includes('$')) {
    throw usageError(
      `${title} has a $ in its file name, and variables are not replaced there.`,
      'Write the path out, or start it with ~/ for the home folder.',
    );
  }
  if (/^~(?:$|[^/]+\/)/.test(name)) {
    throw usageError(
      `${title} has a file name that starts with ~, and only ~/ is replaced.`,
      'Write the path out, or put ./ in front if the ~ is part of the name.',
    );
  }
  return expandFileName(name, title);
}
