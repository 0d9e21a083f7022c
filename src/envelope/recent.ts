/** Holds what was used last, within a limit on memory. */

interface Entry<Value> {
  readonly value: Value;
  readonly size: number;
}

export class Recent<Value> {
  /** From the one that was not used for the longest time to the one that was used last. */
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #maxSize: number;
  readonly #dispose: (value: Value) => void;
  #size = 0;

  /** @param dispose called with each value that is dropped, deleted or replaced */
  constructor(maxSize: number, dispose: (value: Value) => void) {
    this.#maxSize = maxSize;
    this.#dispose = dispose;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** @param size in the unit of the limit */
  set(key: string, value: Value, size: number): void {
    this.delete(key);
    this.#entries.set(key, { value, size });
    this.#size += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#size <= this.#maxSize) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#size -= entry.size;
    this.#dispose(entry.value);
  }
}
