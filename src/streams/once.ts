/**
 * Calls once for each key, at the first need, however many ask: all get the same answer, or the
 * same error. Without a key, once for all.
 */
export function once<Key = void, Result = unknown>(
  action: (key: Key) => Promise<Result>,
): (key: Key) => Promise<Result> {
  const results = new Map<Key, Promise<Result>>();
  return (key) => {
    const result = results.get(key) ?? action(key);
    results.set(key, result);
    return result;
  };
}
