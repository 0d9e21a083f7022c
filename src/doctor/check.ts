/** One question of kms-doctor, with its answer. */
import { KmsPocError } from '../errors.ts';

/** In the order in which they are asked. */
export const sections = ['settings', 'files', 'identity', 'keys', 'routes'] as const;

type Section = (typeof sections)[number];

export interface Check {
  readonly section: Section;
  /** What was looked at, in a few words: `KEY_ID in eu-central-1`. */
  readonly name: string;
  readonly state: 'ok' | 'advice' | 'wrong' | 'skipped';
  readonly detail: string;
  /** Of advice: what to do. */
  readonly hint?: string;
  /** How long it took, where that tells something. */
  readonly milliseconds?: number;
  /** Of what is wrong: what a command would say about it, and the status it would end with. */
  readonly error?: KmsPocError;
}

export type Finding = Pick<Check, 'state' | 'detail' | 'hint'>;

export const ok = (detail: string): Finding => ({ state: 'ok', detail });
/** It works, and would be better otherwise. */
export const advice = (detail: string, hint: string): Finding => ({
  state: 'advice',
  detail,
  hint,
});
/** It can't be tried from here, which is no fault. */
export const skipped = (detail: string): Finding => ({ state: 'skipped', detail });

/**
 * The one place where an error becomes a row: what fails is wrong, and the next check goes on.
 *
 * @throws KmsPocError Interrupted, at a passphrase: that ends the run; and what is no KmsPocError
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
