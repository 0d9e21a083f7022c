/** Several messages that need the same data key at the same time ask for it once. */
import { dataKeyCollector } from './garbage.ts';

/**
 * @returns a function that gives what `find` finds, and otherwise what `ask` asks for. Those who need
 *   the same one at the same time wait, and then look again; so after a failure the next one asks
 */
export function oneAtATime() {
  const collectGarbage = dataKeyCollector();
  const asked = new Map<string, Promise<unknown>>();
  return async <Result>(
    name: string,
    find: () => Result | undefined,
    ask: () => Promise<Result>,
  ): Promise<Result> => {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      const other = asked.get(name);
      if (other === undefined) break;
      await other.catch(() => undefined);
    }
    const mine = ask();
    asked.set(name, mine);
    try {
      return await mine;
    } finally {
      asked.delete(name);
      collectGarbage();
    }
  };
}
