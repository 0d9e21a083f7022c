/** One check of kms-doctor and its result. */
import { KmsPocError } from '../errors.ts';

/** In the order in which they run. */
export const sections = ['settings', 'files', 'identity', 'keys', 'routes'] as const;

type Section = (typeof sections)[number];

export interface Check {
  readonly section: Section;
  /** What was looked at, in a few words: `KEY_ID in eu-central-1`. */
  readonly name: string;
  readonly state: 'ok' | 'advice' | 'wrong' | 'skipped';
  readonly detail: string;
  /** For advice: what to do. */
  readonly hint?: string;
  /** How long it took, where that is informative. */
  readonly milliseconds?: number;
  /** For a check that is wrong: the error a command would report, with its exit status. */
  readonly error?: KmsPocError;
}

export type Finding = Pick<Check, 'state' | 'detail' | 'hint'>;

export const ok = (detail: string): Finding => ({ state: 'ok', detail });
/** It works, but could be better. */
export const advice = (detail: string, hint: string): Finding => ({
  state: 'advice',
  detail,
  hint,
});
/** It can't be tried from here, which is not a failure. */
export const skipped = (detail: string): Finding => ({ state: 'skipped', detail });

/**
 * The one place where an error becomes a row: the check is wrong, and the next one still runs.
 *
 * @throws KmsPocError Interrupted, at a passphrase prompt, which ends the run; and anything that is
 *   not a KmsPocError
 */
export async function check(
  section: Section,
  name: string,
  look: () => Finding | Promise<Finding>,
): Promise<Check> {
  try {
    return { section, name, ...(await look()) };
  } catch (error) {
    if (!(error instanceof KmsPocError) || error.code === 'Interrupted') throw error;
    return { section, name, state: 'wrong', detail: error.message, error };
  }
}

/** The same, with the time it took. */
export async function timedCheck(...args: Parameters<typeof check>): Promise<Check> {
  const begin = performance.now();
  const result = await check(...args);
  if (result.state === 'skipped') return result;
  return { ...result, milliseconds: Math.round(performance.now() - begin) };
}
