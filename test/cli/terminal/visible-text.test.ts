import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { visibleText } from '../../../src/cli/terminal/visible-text.ts';

const cases: [what: string, text: string, visible: string][] = [
  ['plain text', 'this is a secret', 'this is a secret'],
  ['letters of all kinds', 'zoë 日本 שלום 👨‍👩‍👧 e\u0301', 'zoë 日本 שלום 👨‍👩‍👧 e\u0301'],
  ['line breaks and tabs stay', 'a\n\tb\n', 'a\n\tb\n'],
  ['colours and titles', '\x1b[31mred\x1b]0;title\x07', String.raw`\x1b[31mred\x1b]0;title\x07`],
  ['a CR that would draw over the line', 'refused\rgranted', String.raw`refused\x0dgranted`],
  ['NUL, backspace and DEL', '\0\b\x7f', String.raw`\x00\x08\x7f`],
  ['C1, which needs no ESC', '\x9b31m\x85', String.raw`\x9b31m\x85`],
  ['another order of reading', '\u202egpj.exe\u2069', String.raw`\u202egpj.exe\u2069`],
  ['marks of right-to-left text stay', '\u200e\u200f', '\u200e\u200f'],
];
for (const [what, text, visible] of cases) {
  test(what, () => {
    assert.equal(visibleText(text), visible);
  });
}

test('no text keeps a control character or an override', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (text) => {
      assert.doesNotMatch(visibleText(text), /[^\P{Cc}\n\t]|\p{Bidi_Control}/u);
    }),
  );
});
