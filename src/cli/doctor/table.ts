/**
 * The report of kms-doctor for people: a row for each check, in columns as wide as the window
 * allows. Rows come one by one, so no column waits for what is still to come.
 */
import type { Check } from '../../doctor/check.ts';
import { layOut, unbreakable, widthOf, wrap } from '../terminal/wrap.ts';
import { visibleText } from '../terminal/visible-text.ts';

/** `skipped` is the longest. */
const stateColumns = 7;
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
  const said = new Set<string>();
  /** What stops one thing often stops the next: the same advice is given once. */
  const hintOf = ({ detail, error, hint = error?.hint }: Check): string | undefined => {
    if (said.has(detail)) return undefined;
    said.add(detail);
    return hint;
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

/** A text from a column on; a word that is longer than a row is broken after a colon or a slash. */
function rowsIn(text: string, column: number, width: number): string[] {
  const room = Math.max(width - column - 1, 10);
  const split = (word: string): string[] =>
    word.split(/(?<=[:/])/).flatMap((piece) => layOut(piece, room + 1));
  return wrap(visibleText(text), room, { split }).map((line) => ' '.repeat(column) + line);
}

function summarize(states: readonly Check['state'][]): string {
  const count = (state: Check['state']): number => states.filter((each) => each === state).length;
  const wrong = count('wrong');
  const advice = count('advice');
  const skipped = count('skipped');
  return (
    `${states.length} checks, ${wrong === 0 ? 'nothing is wrong' : `${wrong} wrong`}` +
    `${advice === 0 ? '' : `, ${advice} with advice`}${skipped === 0 ? '' : `, ${skipped} skipped`}.`
  );
}

const capitalize = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
