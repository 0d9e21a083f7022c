/** The settings file: `.env`. It is parsed, never run. */
import { statSync } from 'node:fs';

import { parse } from 'dotenv';

import { reasonOf, systemCode, usageError } from '../errors.ts';
import { readSmallFileSync } from '../streams/small-file.ts';

export interface SettingsFile {
  readonly path: string;
  readonly values: Readonly<Record<string, string>>;
  readonly othersCanRead: boolean;
}

/**
 * @param given the path after --env-file; undefined: `.env` in the current folder, if there is one
 * @throws KmsPocError Usage
 */
export function readSettingsFile(given: string | undefined): SettingsFile | undefined {
  const path = given ?? '.env';
  try {
    const values = parse(readSmallFileSync(path));
    return { path, values, othersCanRead: (statSync(path).mode & 0o077) !== 0 };
  } catch (cause) {
    const code = systemCode(cause);
    if (given === undefined && code === 'ENOENT') return undefined;
    throw usageError(
      `Can't read the settings file ${path}: ${reasonOf(cause)}.`,
      given === undefined
        ? 'Make it readable, or move it elsewhere.'
        : 'Check the path after --env-file.',
      { cause },
    );
  }
}
