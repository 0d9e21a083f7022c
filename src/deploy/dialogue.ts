/** What a deployment says and asks as it goes on. Made by the command line's side. */
export interface Dialogue {
  /** Shows one line. */
  readonly say: (text: string) => void;
  /**
   * Asks once a run; after a yes, or with --yes, it asks no more.
   *
   * @throws Declined
   */
  readonly confirm: (question: string) => Promise<void>;
  /** `.env is unchanged.` */
  readonly unchanged: string;
}

/** The person said no: no error, but nothing goes on. */
export class Declined extends Error {}
