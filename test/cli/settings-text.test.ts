import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'dotenv';
import fc from 'fast-check';
import { editSettings } from '../../src/cli/settings-text.ts';
import { KmsPocError } from '../../src/errors.ts';

const changes = { KEY_ID: 'arn:aws:kms:eu-central-1:111122223333:key/1', USERS: undefined };
const edited = (text: string): string => editSettings('.env', text, changes);

describe('what is changed in a settings file', () => {
  for (const [what, before, after] of [
    ['a value', 'KEY_ID=x', 'KEY_ID=NEW'],
    ['a value in quotes', 'A=1\nKEY_ID="x" # mine\nB=2\n', 'A=1\nKEY_ID=NEW # mine\nB=2\n'],
    ['no white space', '  export  KEY_ID  =  x  # mine', '  export  KEY_ID  =  NEW  # mine'],
    ['a value over several lines', 'KEY_ID=`x\ny`\nB=2', 'KEY_ID=NEW\nB=2'],
    ['a value after a colon', 'KEY_ID: x\n', 'KEY_ID: NEW\n'],
    ['an empty value', 'KEY_ID=\nB=2\n', 'KEY_ID=NEW\nB=2\n'],
    ['an empty value at the end', 'KEY_ID=', 'KEY_ID=NEW'],
    ['nothing, if it is so already', "A=1\nKEY_ID = 'NEW'\n", "A=1\nKEY_ID = 'NEW'\n"],
    ['a second line of the name', 'KEY_ID=x\nB=2\nKEY_ID="y\nz"\nC=3\n', 'KEY_ID=NEW\nB=2\nC=3\n'],
    ['a setting that goes', 'A=1\r\nUSERS=x\r\nKEY_ID=x\r\n', 'A=1\r\nKEY_ID=NEW\r\n'],
    ['the end, for a new one', 'A=1', 'A=1\nKEY_ID=NEW\n'],
  ] as const) {
    test(what, () => {
      const filled = (text: string): string => text.replace('NEW', changes.KEY_ID);
      assert.equal(edited(filled(before)), filled(after));
    });
  }

  test('the comment above a setting is replaced, not repeated', () => {
    const comments = { KEY_ID: { start: '# KEY_ID is ', rest: 'new' } };
    const once = editSettings('.env', 'A=1\nKEY_ID=x\n', changes, comments);
    assert.equal(once, `A=1\n# KEY_ID is new\nKEY_ID=${changes.KEY_ID}\n`);
    assert.equal(editSettings('.env', once, changes, comments), once);
  });
});

test('whatever the file is, dotenv reads the new values and all the others, or it is refused', () => {
  const piece = fc.constantFrom(
    ...['KEY_ID', 'USERS', 'OTHER', '=', ':', ' ', '\n', '\r\n', '"', "'", '`', '#', '\\', 'x'],
    ...['export ', 'KEY_ID=', 'OTHER=', '\nKEY_ID=', '\nOTHER="', '"\n', '$', '\u00e4', '\t', '\r'],
  );
  let refused = 0;
  let count = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const text = pieces.join('');
      count += 1;
      try {
        const wanted: Record<string, string> = { ...parse(text), KEY_ID: changes.KEY_ID };
        delete wanted.USERS;
        assert.deepEqual({ ...parse(edited(text)) }, wanted);
      } catch (error) {
        if (!(error instanceof KmsPocError) || error.code !== 'Usage') throw error;
        refused += 1;
      }
    }),
    { numRuns: 5000 },
  );
  assert.ok(refused < count / 10, `${refused} of ${count} were refused`);
});
