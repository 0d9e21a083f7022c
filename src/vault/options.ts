/** How Vault is reached in one run: made from the settings by the command line's side. */
import type { Events } from '../events.ts';
import type { Patience } from '../kms/patience.ts';

export interface VaultOptions {
  readonly address: URL;
  /** Undefined: there is none. An agent may add its own. */
  readonly token: string | undefined;
  readonly namespace: string | undefined;
  /** Certificate authorities in PEM, in the place of Node's own. */
  readonly certificates: Uint8Array | undefined;
  readonly events: Pick<Events, 'endpoint'>;
  readonly patience: Patience;
}
