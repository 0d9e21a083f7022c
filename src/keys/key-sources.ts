import type { Events } from '../events.ts';
import type { Kms } from '../kms/kms.ts';
import type { AwsKeyReference } from './key-reference.ts';

/** Where keys come from: made from the settings by the command line's side. */
export interface KeySources {
  /** KMS in the Region of that key, or for a multi-Region key in those that stand in for it too. */
  readonly connectKms: (key: AwsKeyReference) => Promise<Kms>;
  readonly defaultLocalKeyFile: string;
  /**
   * Asks for the passphrase of an RSA key file, or reads it from where the settings say.
   *
   * @throws KmsPocError Usage, where nobody can be asked
   */
  readonly readPassphrase: (file: string) => Promise<Uint8Array>;
  readonly events: Events;
}
