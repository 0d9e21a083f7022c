import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { KmsPocError } from '../../src/errors.ts';
import {
  type KeyReference,
  parseKeyReference,
  parseKeyReferences,
} from '../../src/keys/key-reference.ts';
import { checkLine } from '../support/failure.ts';

const uuid = '1234abcd-12ab-34cd-56ef-1234567890ab';
const mrk = 'mrk-1234abcd12ab34cd56ef1234567890ab';

function refusal(text: string, parse: (text: string, source: string) => unknown): KmsPocError {
  try {
    parse(text, '--key');
  } catch (error) {
    assert.ok(error instanceof KmsPocError, String(error));
    assert.deepEqual([error.code, error.status], ['Usage', 2]);
    checkLine(error.message);
    assert.match(error.message, /^--key /);
    assert.match(error.hint ?? '', /alias\/NAME, key id, .*ARN, or local, local:FILE/);
    return error;
  }
  return assert.fail(`${text} was to be refused`);
}

describe('AWS KMS keys', () => {
  const inFrankfurt = 'arn:aws:kms:eu-central-1:123456789012';
  const keys: [string, string | undefined][] = [
    ['alias/theKey', undefined],
    ['alias/aws/s3', undefined],
    ['alias/a-b_c/D9', undefined],
    [uuid, undefined],
    [mrk, undefined],
    [`${inFrankfurt}:key/${uuid}`, 'eu-central-1'],
    [`${inFrankfurt}:key/${mrk}`, 'eu-central-1'],
    [`${inFrankfurt}:alias/theKey`, 'eu-central-1'],
    [`arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/${uuid}`, 'us-gov-west-1'],
    [`arn:aws-cn:kms:cn-north-1:123456789012:key/${uuid}`, 'cn-north-1'],
  ];
  for (const [keyId, arnRegion] of keys) {
    test(keyId, () => {
      assert.deepEqual(parseKeyReference(keyId, '--key'), { kind: 'aws', keyId, arnRegion });
    });
  }
});

test('local keys, with the path as given', () => {
  const local = (file: string | undefined): KeyReference => ({ kind: 'local', file });
  assert.deepEqual(parseKeyReference('local', '--key'), local(undefined));
  for (const file of ['a', './a b', '/x/y.key', 'C:\\x', 'local:', 'alias/a', '~k', 'ä']) {
    assert.deepEqual(parseKeyReference(`local:${file}`, '--key'), local(file));
  }
});

test('a file in the home folder, a file with a strange name', () => {
  const home = join(homedir(), 'k');
  assert.deepEqual(parseKeyReference('local:~/k', '--key'), { kind: 'local', file: home });
  assert.deepEqual(parseKeyReference('rsa:~/k', '--key'), {
    kind: 'rsa',
    file: home,
    fingerprint: undefined,
  });
  for (const [file, message] of [
    ['$HOME/k', /\$ in its/],
    ['${HOME}/k', /\$ in its/],
    ['"k"', /quotes around its/],
    ["'~/k'", /quotes around its/],
    ['~', /starts with ~/],
    ['~root/k', /starts with ~/],
    ['a\nb', /control character/],
    ['a\u009b31m', /control character/],
    ['a\ufffd', /not valid UTF-8/],
  ] as const) {
    for (const kind of ['local', 'rsa']) {
      assert.throws(() => parseKeyReference(`${kind}:${file}`, '--key'), {
        code: 'Usage',
        message,
      });
    }
  }
});

describe('what does not name a key', () => {
  for (const text of [
    '',
    ' ',
    'alias/',
    'alias',
    'Alias/theKey',
    'alias/the key',
    'alias/the.key',
    'theKey',
    ` ${uuid}`,
    `${uuid}\n`,
    uuid.slice(0, -1),
    mrk.slice(0, -1),
    `key/${uuid}`,
    'arn:aws:kms:eu-central-1:123456789012',
    `arn:aws:kms::123456789012:key/${uuid}`,
    `arn:aws:kms:eu-central-1:12345678901:key/${uuid}`,
    `arn:aws:s3:eu-central-1:123456789012:key/${uuid}`,
    `arn:aws:kms:eu-central-1:123456789012:grant/${uuid}`,
    'LOCAL',
    'local ',
    'file:key',
    'gcp:key',
  ]) {
    test(JSON.stringify(text), () => {
      const { message } = refusal(text, parseKeyReference);
      assert.match(message, /^--key(?: has "[a-z:]+", which)? is not a known kind of key\.$/);
    });
  }

  test('a prefix without a file', () => {
    assert.equal(refusal('local:', parseKeyReference).message, '--key has no file after local:.');
    assert.equal(refusal('rsa:', parseKeyReference).message, '--key has no file after rsa:.');
  });

  test('no text is repeated: it may be a secret in the wrong place', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 4 }), (text) => {
        const secret = `${text}-Sentinel`;
        const { message, hint } = refusal(secret, parseKeyReference);
        assert.doesNotMatch(`${message} ${hint ?? ''}`, /Sentinel/);
      }),
    );
  });

  test('except a short word, as an unknown kind of key', () => {
    const { message } = refusal('gcp:key', parseKeyReference);
    assert.match(message, /^\S+ has "gcp:key", which is not a known kind of key\.$/);
  });
});

describe('lists of keys', () => {
  test('in order; empty entries and spaces do not count', () => {
    const parsed = parseKeyReferences(` alias/a ,, local:x y ,${uuid},`, 'DECRYPT_KEYS');
    assert.deepEqual(parsed, [
      { kind: 'aws', keyId: 'alias/a', arnRegion: undefined },
      { kind: 'local', file: 'x y' },
      { kind: 'aws', keyId: uuid, arnRegion: undefined },
    ]);
    assert.deepEqual(parseKeyReferences(' , ', 'DECRYPT_KEYS'), []);
  });

  test('one wrong entry is an error', () => {
    assert.match(
      refusal('alias/a, b, local', parseKeyReferences).message,
      /^--key has "b", which is not a known kind of key\.$/,
    );
  });
});
