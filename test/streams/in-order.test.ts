import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turnOfEventLoop } from 'node:timers/promises';
import { inOrder, type InOrderLimits } from '../../src/streams/in-order.ts';

const limits: InOrderLimits = { maxPending: 3, maxSize: 100, maxCount: 5 };

async function* count(to: number, onTaken: (item: number) => void = () => undefined) {
  for (let item = 0; item < to; item++) {
    onTaken(item);
    yield item;
    await Promise.resolve();
  }
}

/** Work that ends when the test says so. */
const controlled = () => {
  const settle = new Map<number, (outcome: number | Error) => void>();
  const work = (item: number): Promise<number> =>
    new Promise((resolve, reject) => {
      settle.set(item, (outcome) => {
        settle.delete(item);
        if (outcome instanceof Error) reject(outcome);
        else resolve(outcome);
      });
    });
  return { settle, work };
};

const small = (): number => 1;

const collect = async (results: AsyncIterable<number[]>): Promise<number[]> => {
  const all: number[] = [];
  for await (const some of results) all.push(...some);
  return all;
};

describe('work on many items at once', () => {
  test('gives the results in order, whatever ends first', async () => {
    const work = async (item: number): Promise<number> => {
      for (let turn = 0; turn < (item * 7) % 5; turn++) await turnOfEventLoop();
      return item * 10;
    };
    const results = await collect(inOrder(count(500), work, small, limits));
    assert.deepEqual(
      results,
      Array.from({ length: 500 }, (_, item) => item * 10),
    );
  });

  test('works on no more than the limit', async () => {
    const { settle, work } = controlled();
    const results = inOrder(count(10), work, small, limits);
    const first = results.next();
    await turnOfEventLoop();
    assert.deepEqual([...settle.keys()], [0, 1, 2]);
    settle.get(1)?.(1);
    await turnOfEventLoop();
    assert.deepEqual([...settle.keys()], [0, 2, 3]);
    settle.get(0)?.(0);
    assert.deepEqual((await first).value, [0, 1]);
    await results.return(undefined);
  });

  test('gives a result before the next item comes', async () => {
    async function* stuck() {
      yield 1;
      await new Promise(() => undefined);
    }
    const results = inOrder(stuck(), (item) => Promise.resolve(item), small, limits);
    assert.deepEqual((await results.next()).value, [1]);
  });

  test('takes no more items than the limits while nobody takes the results', async () => {
    const taken: number[] = [];
    const items = count(1000, (item) => taken.push(item));
    const results = inOrder(items, (item) => Promise.resolve(item), small, limits);
    assert.deepEqual((await results.next()).value, [0]);
    for (let turn = 0; turn < 20; turn++) await turnOfEventLoop();
    // Those in the queue, and one that waits for a place in it.
    assert.ok(taken.length <= 1 + limits.maxCount + 1, `${taken.length} were taken`);
    assert.equal((await collect(results)).length, 999);
  });

  test('holds no more than the size limit, except for one larger item', async () => {
    const { settle, work } = controlled();
    const sizes = [60, 50, 500, 1];
    const results = inOrder(count(4), work, (item) => sizes[item] ?? 0, limits);
    const all = collect(results);
    for (const expected of [[0], [1], [2], [3]]) {
      await turnOfEventLoop();
      assert.deepEqual([...settle.keys()], expected);
      settle.get(expected[0] ?? 0)?.(0);
    }
    assert.equal((await all).length, 4);
  });

  test('ends with the error of an item once the results before it are out', async () => {
    const { settle, work } = controlled();
    const results = inOrder(count(10), work, small, limits);
    const first = results.next();
    await turnOfEventLoop();
    settle.get(2)?.(2);
    settle.get(1)?.(new Error('of the second'));
    settle.get(0)?.(0);
    assert.deepEqual((await first).value, [0]);
    await assert.rejects(results.next(), /of the second/);
    assert.deepEqual(await results.next(), { done: true, value: undefined });
  });

  test('ends with the error of the source once all results are out', async () => {
    async function* failing() {
      yield* count(2);
      throw new Error('of the source');
    }
    const results = inOrder(failing(), (item) => Promise.resolve(item), small, limits);
    const all: number[] = [];
    await assert.rejects(async () => {
      for await (const some of results) all.push(...some);
    }, /of the source/);
    assert.deepEqual(all, [0, 1]);
  });

  test('leaves the event loop its turns', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await collect(inOrder(count(20_000), (item) => Promise.resolve(item), small, limits));
    clearInterval(timer);
    assert.ok(turns > 0);
  });
});
