/**
 * Calls `action` once for each key, when it is first needed. All callers get the same result or the
 * same error. Without a key, `action` is called once in all.
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
