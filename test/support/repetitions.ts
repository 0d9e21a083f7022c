/**
 * @param all in CI and in a pipe, where nobody waits
 * @param some on a terminal, unless `npm test -- --full` says otherwise
 * @returns how often to repeat a slow test
 */
export const repetitions = (all: number, some: number): number =>
  process.env.TEST_REPETITIONS === 'some' ? some : all;
