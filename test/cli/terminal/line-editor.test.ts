import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  createLineEditor,
  type LineEditor,
  type Outcome,
} from '../../../src/cli/terminal/line-editor.ts';
import { repetitions } from '../../support/repetitions.ts';

const pasted = (text: string): string => `\x1b[200~${text}\x1b[201~`;
const backspace = '\x7f';

/** Feeds the reads, up to the one that ends the message, and then a pause. */
function feed(...reads: (string | Uint8Array)[]): { editor: LineEditor; outcome: Outcome } {
  const editor = createLineEditor();
  for (const read of reads) {
    const outcome = editor.feed(Buffer.from(read));
    if (outcome !== undefined) return { editor, outcome };
  }
  return { editor, outcome: editor.pause() };
}

/** @returns the message, as text, after these reads, a pause, and Enter alone in a read */
function messageOf(...reads: (string | Uint8Array)[]): string {
  const { editor, outcome } = feed(...reads);
  assert.equal(outcome, undefined);
  assert.equal(editor.feed(Buffer.from('\r')), 'entered');
  return Buffer.from(editor.message()).toString();
}

/** @returns all that is shown, on both sides of the cursor */
function textOf(editor: LineEditor): string {
  const { before, after } = editor.visible();
  return before + after;
}

/** @returns what is shown after these reads and a pause */
function shownOf(...reads: (string | Uint8Array)[]): string {
  return textOf(feed(...reads).editor);
}

/** @returns one read for each byte */
function bytewise(text: string): Uint8Array[] {
  return Array.from(Buffer.from(text), (byte) => Uint8Array.of(byte));
}

describe('typed text', () => {
  const cases: [what: string, reads: string[], message: string][] = [
    ['letters one by one', ['a', 'b', 'c'], 'abc'],
    ['spaces around stay', ['  a ', ' '], '  a  '],
    ['characters beyond the BMP', ['pâ', '😀', 'z'], 'pâ😀z'],
    ['a tab is part of it', ['a\tb'], 'a\tb'],
    ['control characters are not', ['a\x00\x07\x0c\x14\x1c\x1d\x1e\x1fb'], 'ab'],
    ['Backspace', ['abc', backspace, '\b'], 'a'],
    ['Backspace on nothing', [backspace, 'a', backspace, backspace, 'b'], 'b'],
    ['Backspace over an emoji', ['pâ😀', backspace], 'pâ'],
    ['Backspace over a family', ['a👨‍👩‍👧', backspace], 'a'],
    ['Backspace over a flag takes one of two', ['🇦🇹🇨🇭', backspace], '🇦🇹'],
    ['Backspace over e and an accent that came later', ['ae', '\u0301', backspace], 'a'],
    ['Ctrl-U', ['abc def', '\x15', 'g'], 'g'],
    ['Ctrl-W', ['abc def  ', '\x17'], 'abc '],
    ['Ctrl-W on one word', ['abc', '\x17', 'd'], 'd'],
    ['Ctrl-W after the cursor has moved', ['abc def ghi', '\x1b[D\x1b[D\x1b[D\x17'], 'abc ghi'],
    ['Ctrl-K', ['abc def', '\x1b[1;5D', '\x0b'], 'abc '],
    ['Ctrl-U, wherever the cursor is', ['abc', '\x1b[D', '\x15', 'd'], 'd'],
    ['left, right', ['abc', '\x1b[D\x1b[D', 'x', '\x1b[C', 'y'], 'axbyc'],
    ['left, over an emoji', ['a😀', '\x1b[D', 'b'], 'ab😀'],
    ['left, over an accent that came later', ['ae', '\u0301', '\x1b[D', 'b'], 'abe\u0301'],
    ['left and right, at the ends', ['a', '\x1b[C\x1b[D\x1b[D', 'b', '\x1b[C\x1b[C', 'c'], 'bac'],
    ['Ctrl-B, Ctrl-F', ['abc', '\x02\x02', 'x', '\x06', 'y'], 'axbyc'],
    ['Ctrl-A, Ctrl-E', ['abc', '\x01', 'x', '\x05', 'y'], 'xabcy'],
    ['Alt-B, Alt-F', ['ab cd', '\x1bb', 'x', '\x1bf', 'y'], 'ab xcdy'],
    ['Delete', ['abc', '\x1b[D\x1b[D', '\x1b[3~'], 'ac'],
    ['Delete at the end', ['abc', '\x1b[3~'], 'abc'],
    ['Backspace in the middle', ['abc', '\x1b[D', backspace], 'ac'],
    ['a paste in the middle', ['ad', '\x1b[D', pasted('b\rc'), 'x'], 'ab\ncxd'],
    ['a paste without marks in the middle', ['ad', '\x1b[D', 'b\rc'], 'ab\ncd'],
    ['left, over a paste', ['a', pasted('b\rc'), '\x1b[D', 'x'], 'axb\nc'],
  ];
  for (const [what, reads, message] of cases) {
    test(what, () => {
      assert.equal(messageOf(...reads), message);
    });
  }

  test('is shown as it is typed, and half characters once they are complete', () => {
    const emoji = Buffer.from('😀');
    const editor = createLineEditor();
    editor.feed(Buffer.from('pâ'));
    assert.equal(textOf(editor), 'pâ');
    editor.feed(emoji.subarray(0, 2));
    assert.equal(textOf(editor), 'pâ');
    editor.pause();
    editor.feed(emoji.subarray(2));
    assert.equal(textOf(editor), 'pâ😀');
    editor.feed(Buffer.from(backspace));
    assert.equal(textOf(editor), 'pâ');
  });

  test('bytes that are not UTF-8 are kept as they are, and Backspace removes one', () => {
    const { editor } = feed(Uint8Array.of(0x61, 0xe4, 0xf6), backspace);
    assert.deepEqual(editor.message(), Uint8Array.of(0x61, 0xe4));
  });
});

describe('Home and End, as terminals send them', () => {
  for (const [home, end] of [
    ['\x1b[H', '\x1b[F'],
    ['\x1bOH', '\x1bOF'],
    ['\x1b[1~', '\x1b[4~'],
    ['\x1b[7~', '\x1b[8~'],
  ] as const) {
    test(JSON.stringify([home, end]), () => {
      assert.equal(messageOf('abc', home, 'x', end, 'y'), 'xabcy');
      assert.equal(messageOf('abc', ...bytewise(home), 'x', ...bytewise(end), 'y'), 'xabcy');
    });
  }
});

describe('other escape sequences mean nothing', () => {
  const sequences: Record<string, string> = {
    'arrow keys': '\x1b[A\x1bOB\x1b[1;5C',
    'Insert, Delete, Home, End': '\x1b[2~\x1b[3~\x1b[H\x1b[4~',
    'F1 to F4 of xterm': '\x1bOP\x1bOQ\x1bO5R\x1b[1;2S\x1bOé',
    'F1 and F5 of the Linux console': '\x1b[[A\x1b[[E',
    'F5 to F12': '\x1b[15~\x1b[17~\x1b[24~',
    'Alt and a letter': '\x1bx\x1bé\x1b😀\x1b\x1b[A',
    'Alt and Backspace': `\x1b${backspace}`,
    mouse: '\x1b[M !"\x1b[<0;12;7M\x1b[<0;12;7m',
    'focus and cursor reports': '\x1b[I\x1b[O\x1b[24;80R',
    'an answer with a colour': '\x1b]11;rgb:0000/0000/0000\x1b\\\x1bP1$r0m\x1b\\',
    'the end mark of a paste without its beginning': '\x1b[201~',
  };
  for (const [what, sequence] of Object.entries(sequences)) {
    test(what, () => {
      assert.equal(messageOf(`a${sequence}b`), 'ab');
      assert.equal(messageOf('a', ...bytewise(sequence), 'b'), 'ab');
    });
  }

  test('one that was cut off swallows nothing after a pause', () => {
    const { editor } = feed('a\x1b[');
    editor.feed(Buffer.from('Ab'));
    assert.equal(Buffer.from(editor.message()).toString(), 'aAb');
  });

  test('one that was cut off leaves Ctrl-C and Enter alone', () => {
    assert.equal(feed('a\x1b]', '\x03').outcome, 'interrupted');
    assert.equal(feed('a\x1b[', '\r').outcome, 'entered');
  });
});

describe('keys that end it', () => {
  const cases: [what: string, reads: string[], outcome: Outcome][] = [
    ['Enter', ['a', '\r'], 'entered'],
    ['Enter on nothing', ['\r'], 'entered'],
    ['a line typed ahead, in one read', ['hello\r'], 'entered'],
    ['a line typed ahead before raw mode', ['hello\n'], 'entered'],
    ['Ctrl-D after text', ['a', '\x04'], 'entered'],
    ['Ctrl-D before text', ['a', '\x01\x04'], 'entered'],
    ['Enter before text', ['a', '\x01', '\r'], 'entered'],
    ['Ctrl-D on nothing', ['\x04'], 'interrupted'],
    ['Ctrl-D when all was taken back', ['a', backspace, '\x04'], 'interrupted'],
    ['Esc on nothing', ['\x1b'], 'interrupted'],
    ['Esc after text', ['a', '\x1b'], undefined],
    ['Ctrl-C', ['\x03'], 'interrupted'],
    ['Ctrl-C after text', ['a', '\x03'], 'interrupted'],
    ['Ctrl-C alone in a paste that lost its end', ['\x1b[200~abc', '\x03'], 'interrupted'],
    ['Ctrl-Z', ['a', '\x1a'], 'suspended'],
  ];
  for (const [what, reads, outcome] of cases) {
    test(what, () => {
      assert.equal(feed(...reads).outcome, outcome);
    });
  }

  test('Enter alone needs no pause', () => {
    const editor = createLineEditor();
    editor.feed(Buffer.from('a'));
    assert.equal(editor.feed(Buffer.from('\r')), 'entered');
    assert.deepEqual(editor.message(), Uint8Array.of(0x61));
  });

  test('a paste in brackets and Enter in one read', () => {
    const { editor, outcome } = feed(`${pasted('a\rb')}\r`);
    assert.equal(outcome, 'entered');
    assert.equal(Buffer.from(editor.message()).toString(), 'a\nb');
  });

  test('a half escape sequence in a paste is not the Esc key', () => {
    assert.equal(feed('\x1b[200~', '\x1b').outcome, undefined);
  });
});

describe('pastes in brackets', () => {
  const cases: [what: string, reads: string[], message: string, shown: string][] = [
    ['short: like typed', ['a', pasted('b😀c'), 'd'], 'ab😀cd', 'ab😀cd'],
    ['CR and CR LF', [pasted('a\rb\r\nc\nd')], 'a\nb\nc\nd', '[pasted 7 characters, 4 lines]'],
    ['two line breaks', [pasted('a\r\rb')], 'a\n\nb', '[pasted 4 characters, 3 lines]'],
    [
      'one at the end is kept, and said',
      [pasted('secret\r')],
      'secret\n',
      '[pasted 7 characters, 1 line, line break at the end]',
    ],
    ['tab', [pasted('a\tb')], 'a\tb', 'a\tb'],
    [
      'control characters: kept, and shown so that they do no harm',
      [pasted('\x00\x03\x04\x15\x1a\x1b[31m\x7f\b\u009b\u202e')],
      '\x00\x03\x04\x15\x1a\x1b[31m\x7f\b\u009b\u202e',
      String.raw`\x00\x03\x04\x15\x1a\x1b[31m\x7f\x08\x9b\u202e`,
    ],
    [
      'what begins like the end mark',
      [pasted('\x1b[20\x1b[\x1b\x1b[201')],
      '\x1b[20\x1b[\x1b\x1b[201',
      String.raw`\x1b[20\x1b[\x1b\x1b[201`,
    ],
    ['nothing', [pasted('')], '', ''],
    ['200 characters', [pasted('é'.repeat(200))], 'é'.repeat(200), 'é'.repeat(200)],
    ['201', [pasted('é'.repeat(201))], 'é'.repeat(201), '[pasted 201 characters]'],
    ['Backspace takes back a long one', ['a', pasted('b\rc'), backspace], 'a', 'a'],
    ['and one character of a short one', ['a', pasted('bc'), backspace], 'ab', 'ab'],
    ['Ctrl-U takes back all', ['a', pasted('b\rc'), 'd', '\x15e'], 'e', 'e'],
    [
      'two and text between',
      [pasted('a\rb'), ' and ', pasted('c\rd')],
      'a\nb and c\nd',
      '[pasted 3 characters, 2 lines] and [pasted 3 characters, 2 lines]',
    ],
  ];
  for (const [what, reads, message, shown] of cases) {
    test(what, () => {
      assert.equal(shownOf(...reads), shown);
      if (message !== '') assert.equal(messageOf(...reads), message);
    });
  }

  test('a pause inside decides nothing', () => {
    const { editor, outcome } = feed('a\r\x1b[200~b\r');
    assert.equal(outcome, undefined);
    editor.feed(Buffer.from('c\x1b[201~'));
    assert.equal(Buffer.from(editor.message()).toString(), 'a\nb\nc');
  });

  test('any bytes except CR come out as they went in, however they were split', () => {
    const content = fc
      .uint8Array({ maxLength: 300 })
      .filter((bytes) => !Buffer.from(bytes).includes('\x1b[201~'));
    fc.assert(
      fc.property(content, fc.array(fc.nat(40)), (bytes, lengths) => {
        const all = Buffer.concat([Buffer.from('\x1b[200~'), bytes, Buffer.from('\x1b[201~')]);
        const { editor } = feed(...split(all, lengths));
        const expected = Buffer.from(bytes).toString('latin1').replace(/\r\n?/g, '\n');
        assert.equal(Buffer.from(editor.message()).toString('latin1'), expected);
      }),
    );
  });
});

describe('pastes without brackets', () => {
  const cases: [what: string, reads: string[], message: string, shown: string][] = [
    ['two lines', ['rm -rf\rb'], 'rm -rf\nb', '[pasted 8 characters, 2 lines]'],
    ['LF and CR LF', ['a\nb\r\nc'], 'a\nb\nc', '[pasted 5 characters, 3 lines]'],
    [
      'with a line break at the end',
      ['a\rb\r'],
      'a\nb\n',
      '[pasted 4 characters, 2 lines, line break at the end]',
    ],
    ['split after the line break', ['ab\r', 'c'], 'ab\nc', '[pasted 4 characters, 2 lines]'],
    [
      'line breaks alone',
      ['\r\r'],
      '\n\n',
      '[pasted 2 characters, 2 lines, line break at the end]',
    ],
    [
      'one long line',
      ['x'.repeat(4095), 'y'.repeat(10)],
      'x'.repeat(4095) + 'y'.repeat(10),
      '[pasted 4,105 characters]',
    ],
  ];
  for (const [what, reads, message, shown] of cases) {
    test(what, () => {
      assert.equal(shownOf(...reads), shown);
      assert.equal(messageOf(...reads), message);
    });
  }

  test('what was typed before stays separate', () => {
    const { editor } = feed('typed ');
    editor.feed(Buffer.from('a\rb'));
    assert.equal(textOf(editor), 'typed ');
    editor.pause();
    assert.equal(textOf(editor), 'typed [pasted 3 characters, 2 lines]');
    editor.feed(Buffer.from(backspace));
    assert.equal(textOf(editor), 'typed ');
  });

  test('one long line with Enter at its end is a typed line', () => {
    const { editor, outcome } = feed(`${'x'.repeat(5000)}\r`);
    assert.equal(outcome, 'entered');
    assert.equal(editor.message().length, 5000);
  });
});

/** Bytes that are likely to matter, and others. */
const bytesOfInterest = fc
  .array(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom('\x1b', '\x1b[', '\x1b[200~', '\x1b[201~', '\r', '\n'),
      },
      { weight: 3, arbitrary: fc.string({ unit: 'grapheme', maxLength: 5 }) },
      {
        weight: 2,
        arbitrary: fc.constantFrom(
          ...[backspace, '\b', '\t', '\x15', '\x17', '\x01', '\x0b', 'x'.repeat(201)],
          ...['\x1b[D', '\x1bOC', '\x1b[3~', '\x1b[1;5D', '\x1bf'],
        ),
      },
      { weight: 1, arbitrary: fc.constantFrom('\x03', '\x04', '\x1a', '\x1bO', '\x1b]', '\x1b[M') },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
    ),
    { maxLength: 30 },
  )
  .map((parts) => Buffer.from(parts.join('')));

/** Splits the bytes into reads of these lengths and the rest, none of which is a key by itself. */
function split(bytes: Uint8Array, lengths: number[]): Uint8Array[] {
  const reads: Uint8Array[] = [];
  let start = 0;
  for (const length of [...lengths, bytes.length]) {
    const read = bytes.subarray(start, start + length);
    if (read.length === 0 || (read.length === 1 && [0x03, 0x0d].includes(read[0] ?? 0))) continue;
    reads.push(read);
    start += read.length;
  }
  if (start < bytes.length) reads.push(bytes.subarray(start));
  return reads;
}

test('how bytes are split into reads makes no difference', () => {
  fc.assert(
    fc.property(bytesOfInterest, fc.array(fc.nat(6), { maxLength: 60 }), (bytes, lengths) => {
      fc.pre(bytes.length > 1 && !bytes.includes(0x1a));
      const reads = split(bytes, lengths);
      fc.pre((reads.at(-1)?.length ?? 0) > 1);
      const whole = feed(bytes);
      const parts = feed(...reads);
      assert.equal(parts.outcome, whole.outcome);
      assert.deepEqual(parts.editor.message(), whole.editor.message());
    }),
    { numRuns: repetitions(2_000, 200) },
  );
});

test('nothing that is shown can control the terminal', () => {
  fc.assert(
    fc.property(bytesOfInterest, (bytes) => {
      assert.doesNotMatch(shownOf(bytes), /[^\P{Cc}\t]/u);
    }),
  );
});

test('typed characters and as many Backspaces leave nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }), (text) => {
      const characters = [...new Intl.Segmenter('en').segment(text)].length;
      const { editor } = feed(text, backspace.repeat(characters - 1));
      assert.notEqual(editor.message().length, 0);
      editor.feed(Buffer.from(backspace));
      assert.equal(editor.message().length, 0);
    }),
  );
});

test('100,000 characters take well under a second', () => {
  const paste = Buffer.from(pasted('0123456789abcde\r'.repeat(6_250)));
  const reads: Uint8Array[] = [];
  for (let i = 0; i < paste.length; i += 4096) reads.push(paste.subarray(i, i + 4096));
  const start = performance.now();
  const editor = createLineEditor();
  for (const read of reads) {
    editor.feed(read);
    editor.visible();
  }
  assert.equal(editor.message().length, 100_000);
  assert.ok(performance.now() - start < 500);
});
