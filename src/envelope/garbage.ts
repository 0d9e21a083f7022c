/**
 * Bytes that may pass between two collections. A larger number leaves buffers alive through two of
 * them, and they are then out of reach of the quick collections.
 */
const bytesBetween = 8 * 1024 * 1024;

/**
 * Keeps a long stream from filling memory with buffers that nobody uses any more. V8 lets 64 MiB
 * of them gather before it looks (from Node 22 on), and frees them late when the machine is busy:
 * a stream then takes 140 to 190 MiB instead of 90 to 110. A quick collection each 8 MiB takes a
 * millisecond, and no time on the whole: memory that is used again at once is fast.
 *
 * The launcher starts Node with --expose-gc for this; without it memory is left to V8.
 *
 * @returns to be told of bytes as they pass; does nothing before there are many
 */
export const garbageCollector = (): ((bytes: number) => void) => {
  let passed = 0;
  return (bytes) => {
    passed += bytes;
    if (passed < bytesBetween) return;
    passed = 0;
    globalThis.gc?.({ type: 'minor', execution: 'sync' });
  };
};
