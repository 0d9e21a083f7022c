import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  createEditableLine,
  type EditableLine,
  type Extent,
  type Piece,
  type Side,
} from '../../../src/cli/terminal/editable-line.ts';

const text = (content: string | Uint8Array): Piece => ({
  bytes: [...Buffer.from(content)],
  isSummarized: false,
});
const summary = (content: string): Piece => ({ ...text(content), isSummarized: true });

/** @returns the line as text, with `|` for the cursor and brackets around what is summarized */
function shown(line: EditableLine): string {
  const side = (name: Side): string =>
    line
      .piecesOn(name)
      .map(({ bytes, isSummarized }) => {
        const content = Buffer.from(bytes).toString();
        return isSummarized ? `[${content}]` : content;
      })
      .join('');
  return `${side('before')}|${side('after')}`;
}

type Step = [action: 'move' | 'erase', side: Side, extent: Extent];

describe('moving and erasing', () => {
  const left: Step = ['move', 'before', 'character'];
  const toStart: Step = ['move', 'before', 'all'];
  const cases: [what: string, pieces: Piece[], steps: Step[], shown: string][] = [
    ['on nothing', [], [left, toStart, ['erase', 'after', 'word']], '|'],
    ['a letter', [text('abc')], [left], 'ab|c'],
    ['an emoji family', [text('a👨‍👩‍👧b')], [left, left], 'a|👨‍👩‍👧b'],
    ['a letter with its accent', [text('ae\u0301')], [['erase', 'before', 'character']], 'a|'],
    ['an accent that came later', [text('ae'), text('\u0301')], [left], 'a|e\u0301'],
    ['one flag of two', [text('🇦🇹🇨🇭')], [toStart, ['erase', 'after', 'character']], '|🇨🇭'],
    ['a summary, as a whole', [text('a'), summary('b c'), text('d')], [left, left], 'a|[b c]d'],
    ['and erased', [text('a'), summary('b c')], [['erase', 'before', 'word']], 'a|'],
    ['a word', [text('ab cd  ')], [['move', 'before', 'word']], 'ab |cd  '],
    ['a word, forwards', [text('ab  cd e')], [toStart, ['move', 'after', 'word']], 'ab|  cd e'],
    [
      'the next word, forwards',
      [text('ab  cd e')],
      [toStart, ['move', 'after', 'word'], ['erase', 'after', 'word']],
      'ab| e',
    ],
    ['all after it', [text('abc')], [left, left, ['erase', 'after', 'all']], 'a|'],
    ['what is not text, by bytes', [text(Uint8Array.of(0x61, 0xe4))], [left], 'a|\ufffd'],
  ];
  for (const [what, pieces, steps, expected] of cases) {
    test(what, () => {
      const line = createEditableLine();
      for (const piece of pieces) line.insert(piece);
      for (const [action, side, extent] of steps) line[action](side, extent);
      assert.equal(shown(line), expected);
    });
  }
});

test('does what a list of characters with an index does', () => {
  // None of them joins the one before it.
  const character = fc.constantFrom('a', 'B', ' ', 'é', 'e\u0301', '日', '😀', '👨‍👩‍👧');
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ insert: character }) },
    { weight: 1, arbitrary: fc.record({ summary: fc.constantFrom('x', 'y z') }) },
    {
      weight: 4,
      arbitrary: fc.record({
        action: fc.constantFrom('move' as const, 'erase' as const),
        side: fc.constantFrom('before' as const, 'after' as const),
        extent: fc.constantFrom('character' as const, 'all' as const),
      }),
    },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const line = createEditableLine();
      let [before, after]: [string[], string[]] = [[], []];
      for (const each of steps) {
        if ('insert' in each) {
          line.insert(text(each.insert));
          before = [...before, each.insert];
        } else if ('summary' in each) {
          line.insert(summary(each.summary));
          before = [...before, `[${each.summary}]`];
        } else {
          const { action, side, extent } = each;
          line[action](side, extent);
          const count = extent === 'all' ? Infinity : 1;
          if (side === 'before') {
            const taken = before.splice(Math.max(before.length - count, 0));
            if (action === 'move') after = [...taken, ...after];
          } else {
            const taken = after.splice(0, Math.min(count, after.length));
            if (action === 'move') before = [...before, ...taken];
          }
        }
      }
      assert.equal(shown(line), `${before.join('')}|${after.join('')}`);
    }),
  );
});
