import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type FieldName,
  findFields,
  parseObject,
  readLines,
  replaceField,
  withoutFields,
} from '../../src/formats/json-lines.ts';
import type { Field, ObjectText } from '../../src/formats/json-text.ts';
import { inPieces } from '../support/bytes.ts';

/** The lines of a text, as `number:content`; a line that was too long as `number:-`. */
const linesOf = async (
  text: string | Uint8Array,
  { maxLineBytes = 1000, pieces = [] }: { maxLineBytes?: number; pieces?: number[] } = {},
): Promise<string[]> => {
  const lines: string[] = [];
  for await (const { number, bytes } of readLines(
    inPieces(Buffer.from(text), pieces),
    maxLineBytes,
  )) {
    lines.push(`${number}:${bytes?.toString() ?? '-'}`);
  }
  return lines;
};

describe('lines', () => {
  test('end with LF or CRLF, the last one with nothing', async () => {
    assert.deepEqual(await linesOf('a\nb\r\nc'), ['1:a', '2:b', '3:c']);
    assert.deepEqual(await linesOf('a\n'), ['1:a']);
    assert.deepEqual(await linesOf(''), []);
  });

  test('without content are skipped, but counted', async () => {
    assert.deepEqual(await linesOf('\n\r\n \t\na\n\n'), ['4:a']);
  });

  test('may begin with a byte order mark, but only the first', async () => {
    assert.deepEqual(await linesOf('\ufeffa\n\ufeffb'), ['1:a', '2:\ufeffb']);
  });

  test('in UTF-16 are refused, not taken for something else', async () => {
    for (const text of ['\ufeff{"a":1}\n', '\ufeff\n']) {
      const littleEndian = Buffer.from(text, 'utf16le');
      for (const bytes of [littleEndian, Buffer.from(littleEndian).swap16()]) {
        await assert.rejects(linesOf(bytes), { code: 'Usage', message: /in UTF-16/ });
      }
    }
  });

  test('that are too long are skipped up to the next one', async () => {
    assert.deepEqual(await linesOf('abc\nabcd\n\nabc', { maxLineBytes: 3 }), [
      '1:abc',
      '2:-',
      '4:abc',
    ]);
    assert.deepEqual(await linesOf('abcdefgh', { maxLineBytes: 3, pieces: [1] }), ['1:-']);
  });

  test('are the same, however the bytes are split', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom('a', 'é', '\n', '\r\n', ' ') }),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
        async (text, pieces) => {
          assert.deepEqual(await linesOf(text, { pieces }), await linesOf(text));
        },
      ),
    );
  });
});

const parsed = (text: string): ObjectText => {
  const object = parseObject(Buffer.from(text));
  assert.ok(object, text);
  return object;
};

const textOf = (pieces: Iterable<Buffer>): string => Buffer.concat([...pieces]).toString('utf8');

const onlyField = (object: ObjectText, name: FieldName): Field => {
  const [field, ...others] = findFields(object, name);
  assert.ok(field !== undefined && others.length === 0);
  return field;
};

describe('an object', () => {
  test('is nothing else', () => {
    for (const text of ['', '1', '"a"', 'null', '[]', '{', '{}{}', '{"a":1,}', "{'a':1}"]) {
      assert.equal(parseObject(Buffer.from(text)), undefined, text);
    }
    assert.equal(parseObject(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), undefined);
  });

  test('keeps the text of all other fields when one is replaced', () => {
    const text =
      ' {"n":12345678901234567890.10,"2":[{"a":"}]\\""}] , "mess\\u0061ge" : "secret","1":-1e3,"n":2,"__proto__":null}';
    const object = parsed(text);
    assert.equal(
      textOf(replaceField(object, onlyField(object, 'message'), 'ciphertext', ['"a', '\\"é"'])),
      ' {"n":12345678901234567890.10,"2":[{"a":"}]\\""}] , "ciphertext" : "a\\"é","1":-1e3,"n":2,"__proto__":null}',
    );
  });

  test('tells when a name occurs twice', () => {
    assert.equal(findFields(parsed('{"user":1,"b":2,"\\u0075ser":3}'), 'user').length, 2);
    assert.equal(findFields(parsed('{"b":{"user":1}}'), 'user').length, 0);
  });

  test('without some fields, and with another', () => {
    const value = ['{"code":', '"Usage"}'];
    const error = `"error":${value.join('')}`;
    const texts: [string | undefined, string][] = [
      ['{ "a" : 1.0 , "message":"x", "b":[ ] }', `{ "a" : 1.0 , "b":[ ] ,${error}}`],
      ['{ "a":1, "message":"x" , "error":1 }', `{ "a":1, ${error}}`],
      ['{"message":"x","a":1,"message":"y"}', `{"a":1,${error}}`],
      ['{"message":"x","error":1}', `{${error}}`],
      ['{}', `{${error}}`],
      ['{"a":1}', `{"a":1,${error}}`],
      [undefined, `{${error}}`],
    ];
    for (const [text, expected] of texts) {
      const object = text === undefined ? undefined : parsed(text);
      const result = textOf(withoutFields(object, ['message', 'error'], 'error', value));
      assert.equal(result, expected);
      JSON.parse(result);
    }
  });
});
