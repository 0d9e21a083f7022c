import { KmsPocError } from '../errors.ts';

/** Waits for an unresponsive Region once, rather than for every route through it. */
export interface Patience {
  /**
   * @param regions the Regions that the call goes to
   * @throws what the call throws; or, without making the call, what an earlier call threw after
   *   waiting for one of these Regions alone
   */
  ask<Answer>(regions: readonly string[], call: () => Promise<Answer>): Promise<Answer>;
}

/** Less than the timeout of one attempt (connection.ts): what fails sooner can be asked again. */
const longMs = 2500;

/**
 * A Region that is down can cost each call 20 seconds (connection.ts), and there may be many
 * routes.
 */
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
