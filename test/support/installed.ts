/** The commands on the PATH, as `npm install --global .` puts them there. */
import { symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { temporaryFolder } from './command.ts';

const projectFolder = join(import.meta.dirname, '..', '..');

/**
 * Links the built commands into a new folder.
 *
 * @returns a PATH on which they and all other programs are
 */
export function pathWithCommands(): string {
  const folder = temporaryFolder();
  for (const name of ['kms-encrypt', 'kms-decrypt', 'kms-reencrypt', 'kms-doctor']) {
    symlinkSync(join(projectFolder, 'dist', `${name}.js`), join(folder, name));
  }
  return [folder, process.env.PATH].join(delimiter);
}
