/**
 * Text that is redrawn as it is typed, with a cursor in it. We don't know the terminal's idea of
 * widths, so the cursor is never placed by counting columns, but by writing its row again, up to
 * it.
 */
import type { WindowSize } from './window.ts';
import { layOut, widthOf } from './wrap.ts';

interface Picture {
  readonly rows: readonly string[];
  /** The index of the row with the cursor. */
  readonly cursorRow: number;
  /** What is before the cursor in its row. */
  readonly beforeCursor: string;
}

/**
 * Begins with the cursor at the start of an empty row.
 *
 * @param isDumb whether the terminal knows no escape sequences: then only the last row can change,
 *   and anything else is drawn again below
 * @returns from the text before and after the cursor: what to write to show just that
 */
export function createRedraw(
  isDumb: boolean,
): (before: string, after: string, size: WindowSize) => string {
  let shown: Picture = { rows: [''], cursorRow: 0, beforeCursor: '' };
  /** Rows before this one may have scrolled off the top of the window. */
  let top = 0;
  return (before, after, size) => {
    const wanted = pictureOf(before, after, size);
    let change = append(shown, wanted);
    change ??= isDumb ? changeLastRow(shown, wanted) : changeRows(shown, wanted, top, size.columns);
    if (change === undefined) {
      top = 0;
      const last = wanted.rows.length - 1;
      change = `${isDumb || isAtEnd(shown) ? '' : '\x1b[J'}\r\n${wanted.rows.join('\r\n')}`;
      if (!isAtEnd(wanted) && (!isDumb || wanted.cursorRow === last)) {
        change += moveCursor(last, wanted);
      }
    }
    shown = wanted;
    top = Math.max(top, wanted.rows.length - size.rows);
    return change;
  };
}

function pictureOf(before: string, after: string, { columns, rows }: WindowSize): Picture {
  const upToCursor = layOut(before, columns);
  const cursorRow = upToCursor.length - 1;
  return {
    // The cursor can't leave the window, so what doesn't fit below it isn't drawn.
    rows: (after === '' ? upToCursor : layOut(before + after, columns)).slice(0, cursorRow + rows),
    cursorRow,
    beforeCursor: upToCursor[cursorRow] ?? '',
  };
}

const isAtEnd = ({ rows, cursorRow, beforeCursor }: Picture): boolean =>
  cursorRow === rows.length - 1 && rows[cursorRow] === beforeCursor;

/** @returns the index of the first row that differs; the number of rows if none does */
function firstChange({ rows: shown }: Picture, { rows: wanted }: Picture): number {
  const first = wanted.findIndex((row, index) => row !== shown[index]);
  return first < 0 ? wanted.length : first;
}

/** If text was only added at the end, where the cursor is, just that is written. */
function append(shown: Picture, wanted: Picture): string | undefined {
  const last = shown.rows.length - 1;
  const [row = '', longer = ''] = [shown.rows[last], wanted.rows[last]];
  const isAppended = firstChange(shown, wanted) >= last && longer.startsWith(row);
  if (!isAppended || !isAtEnd(shown) || !isAtEnd(wanted)) return undefined;
  return [longer.slice(row.length), ...wanted.rows.slice(last + 1)].join('\r\n');
}

/** Draws whole rows, from the first one that differs. */
function changeRows(
  shown: Picture,
  wanted: Picture,
  top: number,
  columns: number,
): string | undefined {
  // After the window was made narrower, the terminal may have broken rows in two.
  if (shown.rows.some((row) => layOut(row, columns).length > 1)) return undefined;
  const last = wanted.rows.length - 1;
  const changed = firstChange(shown, wanted);
  if (changed > last && shown.rows.length === wanted.rows.length) {
    return wanted.cursorRow < top ? undefined : moveCursor(shown.cursorRow, wanted);
  }
  // There must be a row left to put the cursor after.
  const first = Math.min(changed, last);
  // Nothing can be drawn above the top edge.
  if (Math.min(first, wanted.cursorRow) < top) return undefined;
  const rows = `${moveUp(shown.cursorRow - first)}\r\x1b[J${wanted.rows.slice(first).join('\r\n')}`;
  return isAtEnd(wanted) ? rows : rows + moveCursor(last, wanted);
}

function moveCursor(fromRow: number, { cursorRow, beforeCursor }: Picture): string {
  return `${moveUp(fromRow - cursorRow)}\r${beforeCursor}`;
}

/** Without escape sequences, by the start of the row. */
function changeLastRow(shown: Picture, wanted: Picture): string | undefined {
  const last = shown.rows.length - 1;
  const isLastRow = shown.cursorRow === last && wanted.cursorRow === last;
  if (!isLastRow || wanted.rows.length !== shown.rows.length || firstChange(shown, wanted) < last) {
    return undefined;
  }
  const blanks = ' '.repeat(widthOf(shown.rows[last] ?? ''));
  const row = `\r${blanks}\r${wanted.rows[last] ?? ''}`;
  return isAtEnd(wanted) ? row : row + moveCursor(last, wanted);
}

/** @param count of rows; down if it is negative */
function moveUp(count: number): string {
  if (count === 0) return '';
  return count > 0 ? `\x1b[${count}A` : `\x1b[${-count}B`;
}
