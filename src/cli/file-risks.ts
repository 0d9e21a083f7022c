/** Who else could have changed, or can read, a file that a run relies on. */
import type { Stats } from 'node:fs';
import { getuid } from 'node:process';

interface FileRisk {
  /** The beginning of a sentence: `other users can change x.pem`. */
  readonly text: string;
  /** A command that ends it. */
  readonly fix: string;
  /** Whether the file's content may be somebody else's. Else others can read what is secret. */
  readonly isForeign: boolean;
}

/**
 * @param stat of the open file
 * @returns the gravest risk; undefined for none, and for what isn't a file: the user made the pipe
 */
export function riskOf(
  file: string,
  stat: Pick<Stats, 'isFile' | 'mode' | 'uid'>,
  isSecret: boolean,
): FileRisk | undefined {
  if (!stat.isFile()) return undefined;
  if (!isOwn(stat)) {
    return {
      text: `${file} belongs to another user (uid ${stat.uid})`,
      fix: `sudo chown "$(id -u)" ${file}`,
      isForeign: true,
    };
  }
  if ((stat.mode & 0o022) !== 0) {
    const fix = `chmod ${isSecret ? '600' : 'go-w'} ${file}`;
    return { text: `other users can change ${file}`, fix, isForeign: true };
  }
  if (isSecret && (stat.mode & 0o044) !== 0) {
    return { text: `other users can read ${file}`, fix: `chmod 600 ${file}`, isForeign: false };
  }
  return undefined;
}

/** Whether a file belongs to the user or to root, who can change every file anyway. */
export const isOwn = ({ uid }: Pick<Stats, 'uid'>): boolean => uid === 0 || uid === getuid?.();
