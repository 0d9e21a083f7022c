/** The settings file: `.env`. It is parsed, never run. */
import type { Stats } from 'node:fs';
import { lstat } from 'node:fs/promises';

import { parse } from 'dotenv';

import { KmsPocError, reasonOf, systemCode, usageError } from '../errors.ts';
import { expandFileName } from '../formats/file-name.ts';
import { isUtf16, toUtf8 } from '../formats/text.ts';
import { readSmallFile } from '../streams/small-file.ts';
import { isOwn, riskOf } from './file-risks.ts';
import { settingNames, type SettingsFile } from './setting.ts';
import { settingsEntry } from './settings-entry.ts';

export interface ReadOptions {
  /** The file is going to be written: it need not be there yet, but if it is, it can be changed. */
  readonly toWrite?: boolean;
}

/**
 * @param given the path after --env-file; undefined: `.env` in the current folder, if there is one
 * @throws KmsPocError Usage
 */
export async function readSettingsFile(
  given: string | undefined,
  { toWrite = false }: ReadOptions = {},
): Promise<SettingsFile | undefined> {
  const path = given === undefined ? '.env' : expandFileName(given, '--env-file');
  const isImplicit = given === undefined;
  try {
    if (toWrite) requireOwnLink(path, await lstat(path));
    const check = isImplicit ? requireTrusted(path, await lstat(path)) : undefined;
    const { bytes, stat } = await readSmallFile(path, check);
    if (toWrite && isUtf16(bytes)) {
      throw usageError(`${path} is UTF-16, and is only written as UTF-8.`, 'Save it as UTF-8.');
    }
    const text = toUtf8(bytes);
    if (text === undefined) {
      throw usageError(
        `The settings file ${path} is not text in UTF-8 or UTF-16.`,
        'Save it as UTF-8.',
      );
    }
    requireWholeValues(path, text);
    return { path, values: parse(text), isImplicit, stat };
  } catch (cause) {
    if (cause instanceof KmsPocError) throw cause;
    if ((isImplicit || toWrite) && systemCode(cause) === 'ENOENT') return undefined;
    if (isImplicit && (cause as NodeJS.ErrnoException).syscall === 'lstat') {
      throw usageError(
        `Can't look for ${path} in the current folder: ${reasonOf(cause)}.`,
        'Change to another folder with cd, or name the settings file: --env-file FILE',
        { cause },
      );
    }
    throw usageError(
      `Can't read the settings file ${path}: ${reasonOf(cause)}.`,
      isImplicit ? 'Make it readable, or move it elsewhere.' : 'Check the path after --env-file.',
      { cause },
    );
  }
}

/**
 * dotenv takes a # for the start of a comment, wherever it is outside quotes. An RSA key's pin, a
 * path or an endpoint would lose its end, and the run would go on with the rest. And it passes over a
 * line that it can't read, which may be the one that asks for signatures.
 */
function requireWholeValues(path: string, text: Buffer): void {
  const lines = text.toString('utf8').replace(/\r\n?/g, '\n'); // as dotenv does
  for (const [, found, , value = '', space, comment] of lines.matchAll(settingsEntry)) {
    const name = settingNames.find((each) => each === found);
    if (name === undefined || comment === undefined || space !== '' || !/\S$/.test(value)) continue;
    throw usageError(
      `${name} in ${path} has a # in it, which begins a comment unless the value is in quotes.`,
      `Put the whole value in quotes (${name}="…"), or a space in front of the comment.`,
    );
  }
  // To dotenv, `-` and `.` in front are part of the name.
  const passedOver = lines
    .replace(settingsEntry, (entry, found: string) => (/^[-.]/.test(found) ? entry : ''))
    .replace(/#.*/g, '');
  // `$NAME` and `${NAME}` use a setting, in a file that a shell reads as well.
  const unread = settingNames.find((each) =>
    new RegExp(`(?<!\\w[-.]?|\\$\\{?)${each}(?![\\w.-])`).test(passedOver),
  );
  if (unread === undefined) return;
  throw usageError(
    `${path} has a line that names ${unread} but doesn't set it.`,
    `Write ${unread}=VALUE, with nothing in front of it. To leave it out, put a # in front.`,
  );
}

/** What is written where somebody else's link points to would be theirs to read or to lose. */
function requireOwnLink(path: string, entry: Stats): void {
  if (!entry.isSymbolicLink() || isOwn(entry)) return;
  throw usageError(
    `${path} is a symbolic link of another user (uid ${entry.uid}), so it is not written.`,
    'Remove it, or name the file that it points to: --env-file FILE',
  );
}

/**
 * An `.env` that nobody named decides which keys can open new messages. In a folder that others can
 * write to (/tmp, a shared one) it may be theirs.
 */
function requireTrusted(path: string, entry: Stats): (stat: Stats) => void {
  const orNameIt = `or, if you trust it, name it: --env-file ${path}`;
  return (stat) => {
    if (stat.isDirectory()) {
      throw usageError(
        `${path} is a folder, not a settings file.`,
        'Move it elsewhere, or name a settings file: --env-file FILE',
      );
    }
    if (!stat.isFile()) {
      throw usageError(
        `${path} is not a regular file, so it is not used.`,
        `Move it elsewhere, ${orNameIt}`,
      );
    }
    if (entry.isSymbolicLink() && !isOwn(entry)) {
      throw usageError(
        `${path} is a symbolic link of another user (uid ${entry.uid}), so it is not used.`,
        `Remove it, ${orNameIt}`,
      );
    }
    const risk = riskOf(path, stat, true);
    if (risk?.isForeign !== true) return;
    throw usageError(
      `${risk.text.replace(/^other/, 'Other')}, so it is not used.`,
      `Run: ${risk.fix} (${orNameIt})`,
    );
  };
}
