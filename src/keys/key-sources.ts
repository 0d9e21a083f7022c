import type { Events } from '../events.ts';
import type { Kms } from '../kms/kms.ts';
import type { Vault } from '../vault/vault.ts';
import type { AwsKeyReference } from './key-reference.ts';

/** Where keys come from. src/cli creates this from the settings. */
export interface KeySources {
  /** KMS in the Region of that key; for a multi-Region key, in its fallback Regions as well. */
  readonly connectKms: (key: AwsKeyReference) => Promise<Kms>;
  /**
   * The one Vault or OpenBao server that the settings name.
   *
   * @throws KmsPocError Usage, if they name none
   */
  readonly connectVault: () => Promise<Vault>;
  readonly defaultLocalKeyFile: () => string;
  /**
   * Asks for the passphrase of an RSA key file, or reads it from the file that the settings name.
   *
   * @throws KmsPocError Usage, if there is nobody to ask
   */
  readonly readPassphrase: (file: string) => Promise<Uint8Array>;
  readonly events: Events;
}
