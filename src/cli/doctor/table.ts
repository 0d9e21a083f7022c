/**
 * The report of kms-doctor for people: a row for each check, in columns as wide as the window
 * allows. Rows come one by one, so the width of a column can't depend on later ones.
 */
import type { Check } from '../../doctor/check.ts';
import { layOut, unbreakable, widthOf, wrap } from '../terminal/wrap.ts';
import { visibleText } from '../terminal/visible-text.ts';

/** The longest state is `skipped`. */
const stateColumns = 7;
const nameColumn = 2 + stateColumns + 2;

interface Columns {
  /** Where the detail starts. */
  readonly detail: number;
  /** Where a hint starts: it may contain a command, which needs room. */
  readonly hint: number;
  /** The width of a whole row. */
  readonly width: number;
}

/** In a narrow window, the detail goes below the name; in a pipe, rows are never broken. */
function columnsFor(width: number): Columns {
  const below = nameColumn + 2;
  if (width < 70) return { detail: below, hint: below, width };
  if (width < 100) return { detail: nameColumn + 26, hint: below, width };
  return { detail: nameColumn + 40, hint: nameColumn + 40, width };
}

/** @param width of the window; undefined for a pipe or a file */
export function createTable(width = Infinity): {
  row: (check: Check) => string;
  /** Printed after the last row. */
  summary: () => string;
} {
  const columns = columnsFor(Math.max(width, 30));
  const states: Check['state'][] = [];
  let section: Check['section'] | undefined;
  const saidOfErrors = new Set<string>();
  /** The cause of one failure is often the cause of the next: its hint is given only once. */
  const hintOf = ({ detail, error, hint }: Check): string | undefined => {
    if (hint !== undefined || error === undefined) return hint;
    const said = `${detail}\n${error.hint}`;
    if (saidOfErrors.has(said)) return undefined;
    saidOfErrors.add(said);
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

/** Lays out text from a column on. A word longer than a row is broken after a colon or a slash. */
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
