import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, test } from 'node:test';

import { cachedDataKeys } from '../../src/envelope/data-key-cache.ts';
import { encryptionMaterials } from '../../src/envelope/encrypt.ts';
import { parseHeader } from '../../src/envelope/header.ts';
import { headerParser } from '../../src/envelope/repeated-headers.ts';
import { encryptWhole } from '../../src/envelope/whole-message.ts';
import { wrappingKey } from './messages.ts';

/** @returns messages of these users; those of one user share a data key */
async function messagesOf(...users: string[]): Promise<Buffer[]> {
  const dataKeyFor = cachedDataKeys(encryptionMaterials([wrappingKey]), false);
  const messages: Buffer[] = [];
  for (const user of users) {
    const { materials, header } = await dataKeyFor(user, 20);
    messages.push(encryptWhole(materials, randomBytes(20), header));
  }
  return messages;
}

/** A header, or what is wrong with it. */
function outcome(parse: () => unknown): unknown {
  try {
    return plain(parse());
  } catch (error) {
    return String(error);
  }
}

/** Both parsers take slices of the message, but not always of the same type. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}

describe('a header that is like an earlier one', () => {
  let messages: Buffer[];
  before(async () => {
    messages = await messagesOf('alice', 'bob', 'alice', 'carla', 'bob', 'alice');
  });

  test('is parsed as if it were the first', () => {
    const parse = headerParser();
    for (const message of [...messages, ...messages]) {
      assert.deepEqual(plain(parse(message)), plain(parseHeader(message)));
    }
  });

  test('is parsed as if it were the first, whichever byte is changed', () => {
    const parse = headerParser();
    for (const message of messages) parse(message);
    const [message = Buffer.alloc(0)] = messages;
    const { headerLength = 0 } = parseHeader(message) ?? {};
    assert.ok(headerLength > 0);
    for (let index = 0; index < headerLength; index++) {
      const changed = Buffer.from(message);
      changed.writeUInt8((changed.at(index) ?? 0) ^ 1, index);
      assert.deepEqual(
        outcome(() => parse(changed)),
        outcome(() => parseHeader(changed)),
        `byte ${index}`,
      );
    }
  });

  test('is not complete as long as a byte of it is missing', () => {
    const parse = headerParser();
    const [message = Buffer.alloc(0)] = messages;
    const { headerLength = 0 } = parse(message) ?? {};
    for (const length of [0, 40, headerLength - 17, headerLength - 16, headerLength - 1]) {
      const start = message.subarray(0, length);
      assert.deepEqual(
        outcome(() => parse(start)),
        outcome(() => parseHeader(start)),
        `${length} bytes`,
      );
    }
    assert.ok(parse(message.subarray(0, headerLength)));
  });
});
