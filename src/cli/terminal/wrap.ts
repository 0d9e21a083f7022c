/**
 * Fits text into the width of a terminal whose idea of widths we don't know: one shows a family
 * emoji two columns wide, another eight. So lines are broken here, early enough for any terminal,
 * and never by the terminal.
 */

/** A space where no line is broken: between a number and its unit. */
export const unbreakable = '\u00a0';

/**
 * Breaks a text into lines between words.
 *
 * @param options.split takes apart a word that is longer than a line; a part that is still too long
 *   goes over the edge, for the terminal to break
 * @param options.hanging what every line but the first begins with
 */
export function wrap(
  text: string,
  width: number,
  {
    split = (word: string): readonly string[] => [word],
    hanging = '',
  }: { split?: (word: string) => readonly string[]; hanging?: string } = {},
): string[] {
  const lines: string[] = [];
  let line: string | undefined;
  for (const word of text.split(/[ \t\n]+/)) {
    const pieces = widthOf(word) > width ? split(word) : [word];
    for (const [index, piece] of pieces.entries()) {
      const joined = line === undefined ? piece : line + (index === 0 ? ' ' : '') + piece;
      if (line === undefined || line === hanging || widthOf(joined) <= width) {
        line = line === hanging ? hanging + piece : joined;
        continue;
      }
      lines.push(line);
      line = hanging + piece;
    }
  }
  return [...lines, line ?? ''].map((each) => each.replaceAll(unbreakable, ' '));
}

/**
 * For text that is redrawn as it is typed, where the number of rows must be certain.
 *
 * @param columns the window's width; the last column stays free, because terminals differ in where
 *   the cursor goes from there
 * @returns the text in rows that fit, broken anywhere
 */
export function layOut(text: string, columns: number): string[] {
  const rows: string[] = [];
  let row = '';
  let width = 0;
  for (const character of text) {
    const added = widthAtMost(character);
    if (character === '\n' || width + added > Math.max(columns - 1, 2)) {
      rows.push(row);
      row = '';
      width = 0;
    }
    if (character === '\n') continue;
    row += character;
    width += added;
  }
  return [...rows, row];
}

/** @returns how many columns text on one row takes on the terminal that gives it the most */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += widthAtMost(character);
  return width;
}

/** @returns how many columns a code point takes on the terminal that gives it the most */
function widthAtMost(character: string): number {
  if (character === '\t') return 8;
  if (character < '\u0300') return 1; // before all marks: the test for them takes time
  if (/[\p{Mn}\p{Me}\u200d]/u.test(character)) return 0;
  // From here on come the wide letters and emoji, and some narrow ones. An estimate that is too
  // large breaks a row early; one that is too small would lose count of the rows.
  return character < '\u1100' ? 1 : 2;
}
