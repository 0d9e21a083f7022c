/** Changes settings in the text of a settings file, and keeps every other byte. */
import { isDeepStrictEqual } from 'node:util';

import { parse } from 'dotenv';

import { usageError } from '../errors.ts';
import { settingsEntry } from './settings-entry.ts';

/** What the result means is compared in the end. */
const entry = new RegExp(settingsEntry, 'dgm');

/** A line above a setting: whatever line begins like it is replaced by it. */
export type Comments = Readonly<Record<string, { readonly start: string; readonly rest: string }>>;

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * A setting is replaced where it stands first, and further lines of the same name are removed, since
 * the last one would win. What is not there yet is added at the end.
 *
 * @param path of the file, for an error
 * @param changes new values, none of which needs quotes; undefined removes a setting
 * @throws KmsPocError Usage, if the result would not mean what it should
 */
export function editSettings(
  path: string,
  text: string,
  changes: Readonly<Record<string, string | undefined>>,
  comments: Comments = {},
): string {
  const lineBreak = text.includes('\r\n') ? '\r\n' : '\n';
  const edits: Edit[] = [];
  const done = new Set<string>();
  const commentLine = (name: string): string => {
    const comment = comments[name];
    return comment === undefined ? '' : comment.start + comment.rest + lineBreak;
  };
  for (const { 1: name = '', 3: value = '', indices } of text.matchAll(entry)) {
    if (!Object.hasOwn(changes, name)) continue;
    const wanted = changes[name];
    const lineStart = text.lastIndexOf('\n', indices?.[1]?.[0] ?? 0) + 1;
    const start = (indices?.[2]?.[1] ?? 0) + value.length - value.trimStart().length;
    const end = start + value.trim().length;
    if (wanted === undefined || done.has(name)) {
      const lineEnd = text.indexOf('\n', end);
      edits.push({ start: lineStart, end: lineEnd < 0 ? text.length : lineEnd + 1, text: '' });
      continue;
    }
    done.add(name);
    const comment = commentLine(name);
    if (comment !== '') {
      const before = text.lastIndexOf('\n', lineStart - 2) + 1;
      const isThere = text.startsWith(comments[name]?.start ?? '', before) && before < lineStart;
      edits.push({ start: isThere ? before : lineStart, end: lineStart, text: comment });
    }
    if (parse(text.slice(indices?.[1]?.[0], end))[name] !== wanted) {
      edits.push({ start, end, text: wanted });
    }
  }
  let edited = text;
  for (const edit of edits.reverse()) {
    edited = edited.slice(0, edit.start) + edit.text + edited.slice(edit.end);
  }
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || done.has(name)) continue;
    if (edited !== '' && !edited.endsWith('\n')) edited += lineBreak;
    edited += `${commentLine(name)}${name}=${value}${lineBreak}`;
  }

  const wanted = Object.entries({ ...parse(text), ...changes }).filter(
    ([, value]) => value !== undefined,
  );
  if (isDeepStrictEqual({ ...parse(edited) }, Object.fromEntries(wanted))) return edited;
  throw usageError(
    `${path} has a line that prevents ${Object.keys(changes).join(', ')} from being written to it.`,
    'Look for a quote that is not closed, or write to another file: --env-file FILE',
  );
}
