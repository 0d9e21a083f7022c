/** V8's collections, on demand. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (kind?: { readonly type: 'minor'; readonly execution: 'sync' }) => void;

let collect: Collect | undefined;

/**
 * A new context has a `gc` while the flag is set. With --expose-gc for the whole run, V8 would refuse
 * the compiled code that Node has of its own modules, and starting would take 10 ms more.
 */
function collector(): Collect {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc');
    // Without it (a Node whose flags can't be set any more), memory is left to V8.
    collect = (runInNewContext('globalThis.gc') as Collect | undefined) ?? (() => undefined);
    setFlagsFromString('--no-expose-gc');
  }
  return collect;
}

/**
 * Bytes that may pass between two collections. With a larger number, buffers survive two of them,
 * and the quick collections can't reach them any more.
 */
const bytesBetween = 8 * 1024 * 1024;

/**
 * Keeps a long stream from filling memory with buffers that are no longer used. V8 lets 64 MiB of
 * them pile up before it looks (from Node 22 on), and frees them late when the machine is busy: a
 * stream then takes 140 to 190 MiB instead of 90 to 110. A quick collection every 8 MiB takes a
 * millisecond and costs no time overall, because memory that is reused at once is fast.
 *
 * @returns a function to call with the number of bytes that have passed; it does nothing until
 *   there are many
 */
export const garbageCollector = (): ((bytes: number) => void) => {
  let passed = 0;
  return (bytes) => {
    passed += bytes;
    if (passed < bytesBetween) return;
    passed = 0;
    collector()({ type: 'minor', execution: 'sync' });
  };
};

/** New data keys that may pass between two collections of all of the heap. */
const dataKeysBetween = 5_000;

/**
 * Keeps what calls for data keys leave behind from filling memory. Much of it survives the quick
 * collections, and V8 lets the heap grow to three times what is in use before it looks at all of it:
 * with 100,000 data keys in use, that is 100 MiB. A look at all of it takes less than a tenth of a
 * second.
 *
 * @returns a function to call for each new data key
 */
export const dataKeyCollector = (): (() => void) => {
  let passed = 0;
  return () => {
    passed += 1;
    if (passed % dataKeysBetween === 0) collector()();
  };
};
