/** How AWS is reached in one run: made from the settings by the command line's side. */
import type { Events } from '../events.ts';
import type { Patience } from './patience.ts';

export interface KmsOptions {
  /** Undefined: as the AWS SDK finds it (environment, then profile). */
  readonly region: string | undefined;
  readonly profile: string | undefined;
  readonly endpoint: string | undefined;
  /** Undefined: the AWS SDK's default chain. */
  readonly credentials:
    { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  /** Where the AWS SDK looks for credentials; here only to say where that was. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly events: Pick<Events, 'endpoint'>;
  readonly patience: Patience;
}
