import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import xterm from '@xterm/headless';
import fc from 'fast-check';
import { layOut, redraw } from '../../../src/cli/terminal/wrap.ts';

describe('laid out in rows', () => {
  const cases: [what: string, text: string, columns: number, rows: string[]][] = [
    ['nothing', '', 10, ['']],
    ['one row; the last column stays free', '123456789', 10, ['123456789']],
    ['two', '1234567890', 10, ['123456789', '0']],
    ['wide characters don’t straddle', '日本語日本語', 10, ['日本語日', '本語']],
    ['emoji', '12345678😀', 10, ['12345678', '😀']],
    ['combining marks stay with their letter', '12345678e\u0301', 10, ['12345678e\u0301']],
    ['line breaks of a prompt', 'a\nb: ', 10, ['a', 'b: ']],
    ['a window that is no window', 'a😀b', 1, ['a', '😀', 'b']],
  ];
  for (const [what, text, columns, rows] of cases) {
    test(what, () => {
      assert.deepEqual(layOut(text, columns), rows);
    });
  }
});

describe('redrawn', () => {
  const window = { columns: 10, rows: 5 };
  const cases: [what: string, shown: string[], wanted: string[], output: string][] = [
    ['the first time', [''], ['a: '], 'a: '],
    ['nothing changed', ['ab'], ['ab'], ''],
    ['only what was added', ['ab'], ['abc', 'd'], 'c\r\nd'],
    ['a row that became shorter', ['a', 'bc'], ['a', 'b'], '\r\x1b[Jb'],
    ['a row that is gone', ['a', 'b'], ['a'], '\x1b[1A\r\x1b[Ja'],
    ['from the first row that differs', ['a', 'b', 'c'], ['a', 'x', 'y'], '\x1b[1A\r\x1b[Jx\r\ny'],
    ['anew when the top has scrolled away', ['1', '2', '3', '4', '5', '6'], ['x'], '\r\nx'],
    ['anew when the window became too narrow', ['123456789012', 'a'], ['123'], '\r\n123'],
  ];
  for (const [what, shown, wanted, output] of cases) {
    test(what, () => {
      assert.equal(redraw(shown, wanted, window), output);
    });
  }

  test('the screen always shows the last text, whatever was there before', async () => {
    const text = fc.array(
      fc.constantFrom('abc', ' ', 'é', '日本', '😀', '👨‍👩‍👧', 'e\u0301', '🇦🇹', '…'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 8 }), async (texts) => {
        const size = { columns: 20, rows: 30 };
        const edited = terminal(size);
        let shown = [''];
        for (const parts of texts) {
          const wanted = layOut(`prompt: ${parts.join('')}`, size.columns);
          await write(edited, redraw(shown, wanted, size));
          shown = wanted;
        }
        const fresh = terminal(size);
        await write(fresh, shown.join('\r\n'));
        assert.deepEqual(screen(edited), screen(fresh));
        assert.equal(edited.buffer.active.cursorX, fresh.buffer.active.cursorX);
        assert.equal(edited.buffer.active.cursorY, fresh.buffer.active.cursorY);
        // And the terminal broke no row.
        assert.equal(edited.buffer.active.cursorY, shown.length - 1);
      }),
    );
  });
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
