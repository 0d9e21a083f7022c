/** What kept this run waiting in vain is not waited for again, however many keys need it. */
import { KmsPocError } from '../errors.ts';

export interface Patience {
  /**
   * @param what such as a Region: where the call goes
   * @throws what the call throws; or, without a call, what an earlier one to the same place threw
   *   after it had waited in vain
   */
  ask<Answer>(what: string, call: () => Promise<Answer>): Promise<Answer>;
}

/** Less than the time-out of one attempt (connection.ts): what fails sooner can be asked again. */
const longMs = 2500;

/** One per run. */
export function createPatience(): Patience {
  const silent = new Map<string, KmsPocError>();
  return {
    async ask(what, call) {
      const error = silent.get(what);
      if (error !== undefined) throw error;
      let isLong = false as boolean;
      // Not by `performance.now`, which takes Node 3 ms to load.
      const timer = setTimeout(() => {
        isLong = true;
      }, longMs);
      try {
        return await call();
      } catch (error) {
        if (error instanceof KmsPocError && isLong) {
          if (error.code === 'Unavailable' || error.code === 'Credentials') silent.set(what, error);
        }
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
