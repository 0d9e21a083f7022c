import { KmsPocError } from '../errors.ts';

/** Waits for each Region that does not answer once, and not for every route through it. */
export interface Patience {
  /**
   * @param regions that the call goes to
   * @throws what the call throws; without a call, what one threw that waited for one of them alone
   */
  ask<Answer>(regions: readonly string[], call: () => Promise<Answer>): Promise<Answer>;
}

/** Less than the time-out of one attempt (kms.ts): what fails sooner can be asked again. */
const longMs = 2500;

/** A Region that is out can cost each call 20 seconds (kms.ts), and there may be many routes. */
export function createPatience(): Patience {
  const silent = new Map<string, KmsPocError>();
  return {
    async ask(regions, call) {
      for (const region of regions) {
        const error = silent.get(region);
        if (error !== undefined) throw error;
      }
      const begin = performance.now();
      try {
        return await call();
      } catch (error) {
        const [region] = regions;
        if (
          error instanceof KmsPocError &&
          error.code === 'Unavailable' &&
          performance.now() - begin > longMs &&
          regions.length === 1 &&
          region !== undefined
        ) {
          silent.set(region, error);
        }
        throw error;
      }
    },
  };
}
