/**
 * The report of kms-doctor for people: a row for each check, in columns as wide as the window
 * allows. Rows come one by one, so no column waits for what is still to come.
 */
import type { Check } from '../../doctor/check.ts';
import { layOut, widthOf } from '../terminal/wrap.ts';
import { visibleText } from '../terminal/visible-text.ts';

/** `not known` is the longest. */
const stateColumns = 9;
const nameColumn = 2 + stateColumns + 2;

interface Columns {
  /** Where the detail stands. */
  readonly detail: number;
  /** Where a hint stands: it may hold a command, which wants room. */
  readonly hint: number;
  /** How much a row holds. */
  readonly width: number;
}

/** In a narrow window the detail stands below the name; in a pipe no row is broken. */
function columnsFor(width: number): Columns {
  const below = nameColumn + 2;
  if (width < 70) return { detail: below, hint: below, width };
  if (width < 100) return { detail: nameColumn + 26, hint: below, width };
  return { detail: nameColumn + 40, hint: nameColumn + 40, width };
}

/** @param width of the window; undefined: a pipe or a file */
export function createTable(width = Infinity): {
  row: (check: Check) => string;
  /** After the last row. */
  summary: () => string;
} {
  const columns = columnsFor(Math.max(width, 30));
  const states: Check['state'][] = [];
  let section: Check['section'] | undefined;
  const errors = new Set<string>();
  /** What stops one thing often stops the next: the same advice is given once. */
  const hintOf = ({ error }: Check): string | undefined => {
    if (error === undefined || errors.has(error.message)) return undefined;
    errors.add(error.message);
    return error.hint;
  };
  return {
    row: (check) => {
      states.push(check.state);
      const heading =
        check.section === section
          ? ''
          : `${section === undefined ? '' : '\n'}${capitalize(check.section)}\n`;
      section = check.section;
      return (
        heading +
        rowsOf(check, hintOf(check), columns)
          .map((row) => `${row}\n`)
          .join('')
      );
    },
    summary: () => `\n${rowsIn(summarize(states), 0, columns.width).join('\n')}\n`,
  };
}

function rowsOf(
  { state, name, detail, milliseconds }: Check,
  hint: string | undefined,
  { detail: detailColumn, hint: hintColumn, width }: Columns,
): string[] {
  const time = milliseconds === undefined ? '' : ` (${milliseconds}${unbreakable}ms)`;
  const details = rowsIn(`${detail}${time}`, detailColumn, width);
  const [firstName = '', ...moreName] = rowsIn(name, nameColumn, width);
  const names = [`  ${state.padEnd(nameColumn - 2)}${firstName.trimStart()}`, ...moreName];
  const hints = hint === undefined ? [] : rowsIn(`hint: ${hint}`, hintColumn, width);

  const last = names.at(-1) ?? '';
  const room = detailColumn - widthOf(last);
  const [firstDetail] = details;
  if (room < 2 || firstDetail === undefined) return [...names, ...details, ...hints];
  const joined = last + ' '.repeat(room) + firstDetail.trimStart();
  return [...names.slice(0, -1), joined, ...details.slice(1), ...hints];
}

/** A space between a number and its unit. */
const unbreakable = '\u00a0';

/**
 * A text from a column on, broken between words; in a word that is longer than a row, an ARN or a
 * path, behind a colon or a slash.
 */
function rowsIn(text: string, column: number, width: number): string[] {
  const room = Math.max(width - column - 1, 10);
  const rows: string[] = [];
  let row = '';
  const add = (piece: string, separator: string): void => {
    const joined = row === '' ? piece : row + separator + piece;
    if (widthOf(joined) <= room) {
      row = joined;
      return;
    }
    if (row !== '') rows.push(row);
    const pieces = layOut(piece, room + 1);
    row = pieces.pop() ?? '';
    rows.push(...pieces);
  };
  for (const word of visibleText(text).split(/[ \t\n]+/)) {
    const [first = '', ...others] = widthOf(word) <= room ? [word] : word.split(/(?<=[:/])/);
    add(first, ' ');
    for (const piece of others) add(piece, '');
  }
  rows.push(row);
  return rows.map((each) => ' '.repeat(column) + each.replaceAll(unbreakable, ' '));
}

function summarize(states: readonly Check['state'][]): string {
  const count = (state: Check['state']): number => states.filter((each) => each === state).length;
  const wrong = count('wrong');
  const unknown = count('not known');
  return (
    `${states.length} checks, ${wrong === 0 ? 'nothing is wrong' : `${wrong} wrong`}` +
    `${unknown === 0 ? '' : `, ${unknown} not known`}.`
  );
}

const capitalize = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
