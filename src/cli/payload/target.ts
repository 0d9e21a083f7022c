/**
 * Paths as the system follows them. Node's `resolve` and `join` would take `link/..` for the folder
 * that the link is in.
 */
import { isUtf8 } from 'node:buffer';
import { readlink, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';

import { systemCode, usageError } from '../../errors.ts';

/** As many links as Linux follows. */
export const maxLinks = 40;

/** @returns the path of what `path` links to, from where the link is */
export const linkedPath = (path: string, link: string): string =>
  isAbsolute(link) ? link : `${dirname(path)}/${link}`;

/**
 * @returns the whole path, with links only where no `..` follows
 * @throws what the system says of a folder on the way
 */
export const absolutePath = async (path: string): Promise<string> =>
  path.split('/').includes('..')
    ? join(await realpath(dirname(path)), basename(path))
    : resolve(path);

/**
 * @returns the whole path, without links, of the file that has this name, or that will have it once it
 *   and the folders on the way are made
 * @throws KmsPocError Usage, if a name on the way is not UTF-8: written out it means another file; and
 *   what the system says of a folder on the way, or of a link to itself
 */
export function targetOf(path: string): Promise<string> {
  let links = 0;
  const text = (name: Buffer): string => {
    if (isUtf8(name)) return name.toString('utf8');
    throw usageError(
      `${path} is in a folder, or links to a file, whose name is not valid UTF-8.`,
      'Rename that, or use a redirection: > FILE',
    );
  };
  const follow = async (current: string): Promise<string> => {
    try {
      return text(await realpath(current, 'buffer'));
    } catch (cause) {
      if (systemCode(cause) !== 'ENOENT' || dirname(current) === current) throw cause;
    }
    const entry = join(await follow(dirname(current)), basename(current));
    const link = await readlink(entry, 'buffer').catch(() => undefined);
    if (link === undefined) return entry;
    if (++links > maxLinks) throw Object.assign(new Error('a circle of links'), { code: 'ELOOP' });
    return follow(linkedPath(entry, text(link)));
  };
  return follow(path);
}
