import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { layOut } from '../../../src/cli/terminal/wrap.ts';

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
