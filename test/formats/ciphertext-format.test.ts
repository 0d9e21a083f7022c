import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatOf } from '../../src/formats/ciphertext-format.ts';

const format = (hex: string): string | undefined => formatOf(Buffer.from(hex, 'hex'));

test('the published versions and suites of AWS Encryption SDK messages', () => {
  for (const start of ['020478', '020578', '018000', '0180000378']) {
    assert.equal(format(start), 'aws-encryption-sdk', start);
  }
});

test('anything else is for KMS to say', () => {
  // As AWS KMS writes them today, as it did in its first years, and as moto does.
  for (const start of ['01020200', '0a20', '61626364', '020100', 'ffffff', '000000']) {
    assert.equal(format(start.padEnd(2 * 60, '0')), 'kms', start);
    assert.equal(format(start.padEnd(2 * 6144, '0')), 'kms', start);
  }
});

test('but not what is too short for a KMS blob, too long, or text', () => {
  assert.equal(format('01020200'.padEnd(2 * 59, '0')), undefined);
  assert.equal(format('01020200'.padEnd(2 * 6145, '0')), undefined);
  for (const text of ['this is a secret. '.repeat(10), 'é'.repeat(100), '\tä\r\n'.repeat(99)]) {
    assert.equal(formatOf(Buffer.from(text)), undefined, text);
  }
});

test('too short for any, and one bit away from an AWS Encryption SDK message', () => {
  for (const start of ['', '02', '0204', '01']) assert.equal(format(start), undefined, start);
  for (let bit = 0; bit < 24; bit++) {
    const start = Buffer.from('020478', 'hex');
    start[bit >> 3] = (start[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const isOther = start.equals(Buffer.from('020578', 'hex'));
    assert.equal(formatOf(start), isOther ? 'aws-encryption-sdk' : undefined, `bit ${bit}`);
  }
});
