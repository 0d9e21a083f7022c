import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import xterm from '@xterm/headless';
import fc from 'fast-check';
import { createRedraw } from '../../../src/cli/terminal/redraw.ts';

const size = { columns: 10, rows: 5 };

describe('what is written to show a text', () => {
  /** `|` is the cursor. */
  const cases: [what: string, shown: string, wanted: string, output: string, dumb: string][] = [
    ['the first time', '|', 'a: |', 'a: ', 'a: '],
    ['nothing changed', 'ab|', 'ab|', '', ''],
    ['only what was added', 'ab|', 'abcdefghij|', 'cdefghi\r\nj', 'cdefghi\r\nj'],
    ['a row that became shorter', 'a\nbc|', 'a\nb|', '\r\x1b[Jb', '\r  \rb'],
    ['a row that is gone', 'a\nb|', 'a|', '\x1b[1A\r\x1b[Ja', '\r\na'],
    [
      'from the first row that differs',
      'a\nb\nc|',
      'a\nx\ny|',
      '\x1b[1A\r\x1b[Jx\r\ny',
      '\r\na\r\nx\r\ny',
    ],
    ['the cursor alone', 'ab|', 'a|b', '\ra', '\r  \rab\ra'],
    ['the cursor, to the end', 'a|b', 'ab|', '\rab', '\r  \rab'],
    ['the cursor, to another row', 'ab\ncd|', 'a|b\ncd', '\x1b[1A\ra', '\r\nab\r\ncd'],
    ['the cursor, down again', 'a|b\ncd', 'ab\nc|d', '\x1b[1B\rc', '\r\nab\r\ncd\rc'],
    ['a letter in the middle', 'a|c', 'ab|c', '\r\x1b[Jabc\rab', '\r  \rabc\rab'],
    ['anew when the top has scrolled away', '1\n2\n3\n4\n5\n6|', 'x|', '\r\nx', '\r\nx'],
  ];
  for (const [what, shown, wanted, output, dumb] of cases) {
    for (const isDumb of [false, true]) {
      test(`${what}${isDumb ? ', on a dumb terminal' : ''}`, () => {
        const redraw = createRedraw(isDumb);
        const show = (text: string): string => {
          const [before = '', after = ''] = text.split('|');
          return redraw(before, after, size);
        };
        show(shown);
        assert.equal(show(wanted), isDumb ? dumb : output);
      });
    }
  }

  test('anew when the window became too narrow', () => {
    const redraw = createRedraw(false);
    redraw('12345678', '9012', { columns: 20, rows: 5 });
    assert.equal(redraw('123', '', size), '\x1b[J\r\n123');
  });
});

const letters = fc.array(
  fc.constantFrom('abc', ' ', 'é', '日本', '😀', '👨‍👩‍👧', 'e\u0301', '🇦🇹', '…'),
  { maxLength: 8 },
);

const texts = fc.array(fc.record({ before: letters, after: letters }), {
  minLength: 1,
  maxLength: 8,
});

test('the screen always shows the last text and its cursor, whatever was there before', async () => {
  await fc.assert(
    fc.asyncProperty(texts, async (changes) => {
      const window = { columns: 20, rows: 30 };
      const edited = terminal(window);
      const redraw = createRedraw(false);
      let last = { before: '', after: '' };
      for (const { before, after } of changes) {
        last = { before: `prompt: ${before.join('')}`, after: after.join('') };
        await write(edited, redraw(last.before, last.after, window));
      }
      const fresh = terminal(window);
      await write(fresh, createRedraw(false)(last.before + last.after, '', window));
      assert.deepEqual(screen(edited), screen(fresh));
      const upToCursor = terminal(window);
      await write(upToCursor, createRedraw(false)(last.before, '', window));
      assert.deepEqual(cursor(edited), cursor(upToCursor));
    }),
  );
});

test('in a window that is too small for the text, what is around the cursor is right', async () => {
  await fc.assert(
    fc.asyncProperty(texts, async (changes) => {
      const window = { columns: 8, rows: 3 };
      const edited = terminal(window);
      const redraw = createRedraw(false);
      for (const { before, after } of changes) {
        await write(edited, redraw(`: ${before.join('')}`, after.join(''), window));
      }
      // The row with the cursor, up to it: no row above or below was taken for it.
      const { before = [] } = changes.at(-1) ?? {};
      const upToCursor = terminal(window);
      await write(upToCursor, createRedraw(false)(`: ${before.join('')}`, '', window));
      assert.equal(edited.buffer.active.cursorX, upToCursor.buffer.active.cursorX);
      assert.equal(rowAtCursor(edited), rowAtCursor(upToCursor));
    }),
  );
});

test('without escape sequences, the last row is still the one with the cursor', async () => {
  await fc.assert(
    fc.asyncProperty(texts, async (changes) => {
      const window = { columns: 20, rows: 30 };
      const edited = terminal(window);
      const redraw = createRedraw(true);
      let last = '';
      for (const { before, after } of changes) {
        last = `prompt: ${before.join('')}${after.join('')}`;
        const written = redraw(`prompt: ${before.join('')}`, after.join(''), window);
        assert.doesNotMatch(written, /\x1b/);
        await write(edited, written);
      }
      await write(edited, redraw(last, '', window));
      const fresh = terminal(window);
      await write(fresh, createRedraw(true)(last, '', window));
      assert.equal(rowAtCursor(edited), rowAtCursor(fresh));
    }),
  );
});

type Terminal = InstanceType<typeof xterm.Terminal>;

function terminal({ columns, rows }: { columns: number; rows: number }): Terminal {
  return new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
}

function write(to: Terminal, text: string): Promise<void> {
  return new Promise((resolve) => {
    to.write(text, resolve);
  });
}

function screen({ buffer: { active: buffer } }: Terminal): string[] {
  return Array.from(
    { length: buffer.length },
    (_, row) => buffer.getLine(row)?.translateToString(true) ?? '',
  );
}

function cursor({ buffer: { active: buffer } }: Terminal): [column: number, row: number] {
  return [buffer.cursorX, buffer.cursorY];
}

/** @returns what is before the cursor in its row */
function rowAtCursor({ buffer: { active: buffer } }: Terminal): string {
  const line = buffer.getLine(buffer.baseY + buffer.cursorY);
  return line?.translateToString(false, 0, buffer.cursorX) ?? '';
}
