import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  jsonBase64,
  jsonString,
  maxDepth,
  type ObjectText,
  scanObject,
  stringOf,
} from '../../src/formats/json-text.ts';
import { repetitions } from '../support/repetitions.ts';

const scanned = (text: string, names: readonly string[] = []): ObjectText => {
  const object = scanObject(Buffer.from(text), names);
  assert.ok(object, text.slice(0, 100));
  return object;
};

const isObject = (text: string): boolean => {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
};

describe('an object', () => {
  test('has the fields that a parser finds, with their texts', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (value) => {
        for (const indent of [0, 3]) {
          const text = JSON.stringify(value, undefined, indent);
          // Through a parser, because the string generator creates halves of surrogate pairs.
          const expected = Object.entries(JSON.parse(text) as Record<string, unknown>);
          const object = scanned(
            text,
            expected.map(([name]) => name),
          );
          assert.equal(object.fieldCount, expected.length);
          assert.deepEqual(
            object.fields.map(({ name, valueStart, end }) => [
              name,
              JSON.parse(object.bytes.toString('utf8', valueStart, end)) as unknown,
            ]),
            expected,
          );
        }
      }),
    );
  });

  test('is whatever a parser takes for one, and nothing else', () => {
    const whole = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue());
    const part = fc.constantFrom(
      ...'{}[]:,"\\/ \t\n0123456789.-+eEu\'\u0000\u001f\u007f\ufeffaé'.split(''),
      '😀',
      ...['true', 'false', 'null', '\\u00e9', '\\u12', '\\x', '""', '"a":', '01', '-', '1.', '1e+'],
    );
    fc.assert(
      fc.property(
        whole,
        fc.array(fc.record({ at: fc.nat(), cut: fc.nat({ max: 3 }), part }), { maxLength: 3 }),
        (value, changes) => {
          let text = JSON.stringify(value);
          for (const { at, cut, part } of changes) {
            const position = at % (text.length + 1);
            text = text.slice(0, position) + part + text.slice(position + cut);
          }
          // Halves of surrogate pairs don't survive as UTF-8.
          text = Buffer.from(text).toString();
          assert.equal(scanObject(Buffer.from(text), []) !== undefined, isObject(text), text);
        },
      ),
      { numRuns: repetitions(20_000, 2000) },
    );
  });

  test('of the cases that parsers differ in', () => {
    const values = [
      ...['0', '-0', '-', '+1', '01', '1.', '.1', '1.0', '1e', '1e5', '1E+05', '1e-', '0x1', 'NaN'],
      ...['tru', 'true', 'truee', 'nul', 'null', '"', '"a', '"\\"', '"\\u00', '"\\u00g0"', '"\\q"'],
      ...[
        '"\\/"',
        '"\t"',
        '"\u007f"',
        '[',
        '[]',
        '[,]',
        '[1,]',
        '[1 2]',
        '{',
        '{}',
        '{,}',
        '{"a"}',
      ],
      ...['{"a":}', '{"a":1,}', '{"a" 1}', '{a:1}', '[}', '{]', '[[]', '[]]', ' 1 ', '\u00a01', ''],
    ];
    for (const value of values) {
      for (const text of [`{"a":${value}}`, `{"a":[${value}]}`, `{"a":1,"b":${value}}`]) {
        assert.equal(scanObject(Buffer.from(text), []) !== undefined, isObject(text), text);
      }
    }
  });

  test('is nested at most so deep', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const nested = (depth: number): Buffer =>
        Buffer.from(`{"a":${open.repeat(depth - 1)}1${close.repeat(depth - 1)}}`);
      assert.ok(scanObject(nested(maxDepth), []));
      assert.equal(scanObject(nested(maxDepth + 1), []), undefined);
      assert.equal(scanObject(nested(1e6), []), undefined);
    }
  });

  test('of any length takes linear time', { timeout: 20_000 }, () => {
    const long = `{"long":"${'\\\\\\"'.repeat(1e6)}","number":${'1'.repeat(1e7)},"a":1}`;
    assert.equal(scanned(long, ['a']).fields[0]?.end, long.length - 1);
    const wide = `{"wide":[${'[],'.repeat(1e6)}1],"a":1}`;
    assert.equal(scanned(wide, ['a']).fields[0]?.end, wide.length - 1);
  });

  test('has a name of any length', () => {
    const name = 'a'.repeat(1e6);
    assert.deepEqual(scanned(`{"${name}":1,"b":2}`, ['b']).fields.length, 1);
  });
});

describe('the text of a string', () => {
  const textOf = (json: string): string | undefined => {
    const object = scanned(`{"a": ${json} }`, ['a']);
    const [field] = object.fields;
    assert.ok(field);
    return stringOf(object, field)?.toString('utf8');
  };

  test('is what a parser reads', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        assert.equal(textOf(JSON.stringify(text)), text);
      }),
    );
    assert.equal(textOf('"\\u0041\\ud83d\\ude00\\/"'), 'A😀/');
  });

  test('is none for other values, and for what UTF-8 cannot encode', () => {
    for (const json of ['1', 'null', '["a"]', '{"a":"b"}', '"\\ud83d"', '"\\ude00\\ud83d"']) {
      assert.equal(textOf(json), undefined, json);
    }
  });

  test('is printed as JSON.stringify does, in pieces of whole characters', () => {
    for (const text of [
      ...['', 'a', '\u0000"\\\n', '\ufeffé'],
      ...[0, 1, 2, 3].map((shift) => 'x'.repeat(shift) + '😀'.repeat(40_000)),
    ]) {
      const pieces = [...jsonString(Buffer.from(text))];
      assert.equal(pieces.join(''), JSON.stringify(text));
      assert.ok(pieces.every((piece) => !piece.includes('\ufffd')));
    }
  });

  test('of bytes, as base64', () => {
    for (const length of [0, 1, 2, 3, 2 ** 15 * 3, 2 ** 17 + 1]) {
      const bytes = Buffer.alloc(length, 'abc');
      assert.equal([...jsonBase64(bytes)].join(''), JSON.stringify(bytes.toString('base64')));
    }
  });
});
