/** What kms-doctor looks at: a set-up, as the command line's side has read it. */
import type { Stats } from 'node:fs';

import type { KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import type { KeyStates } from '../kms/key-state.ts';
import type { Vault } from '../vault/vault.ts';

export interface NamedKey {
  /** What to call it: `KEY_ID`, `backup key 1`. */
  readonly name: string;
  readonly reference: KeyReference;
}

/** One of the two roles: its credentials, and what they open. */
export interface RoleAccess {
  readonly role: 'encryptor' | 'decryptor';
  /**
   * Requests go to the Region that was asked for, never to a fallback Region.
   *
   * @throws KmsPocError Usage, for settings that every command rejects
   */
  readonly keySources: () => KeySources;
  /** @throws KmsPocError, see identity.ts */
  readonly identity: () => Promise<string>;
  /** @throws KmsPocError */
  readonly keyStates: (region: string | undefined) => Promise<KeyStates>;
}

export interface Subject {
  /** The user to encrypt canaries for. Undefined if the settings name nobody, which they report. */
  readonly user: string | undefined;
  /** Undefined if no usable key is set, which the settings report. */
  readonly key: NamedKey | undefined;
  readonly backupKeys: readonly NamedKey[];
  readonly oldKeys: readonly NamedKey[];
  readonly fallbackRegions: readonly string[];
  /** Whether new messages are signed: policies may refuse that. */
  readonly sign: boolean;
  /** Where KMS keys are that don't say it themselves. Undefined: as the AWS SDK finds it. */
  readonly region: string | undefined;
  readonly settingsFile: string | undefined;
  readonly passphraseFile: string | undefined;
  /** Those that a run with a Vault key reads, if they are there. */
  readonly vaultFiles: readonly {
    readonly file: string;
    readonly what: string;
    readonly isSecret: boolean;
  }[];
  /** Who else could have changed, or can read, a file; undefined: nobody. */
  readonly riskOf: (
    file: string,
    stat: Stats,
    isSecret: boolean,
  ) => { readonly text: string; readonly fix: string } | undefined;
  readonly defaultLocalKeyFile: () => string;
  /** See `KeySources`. */
  readonly readPassphrase: (file: string) => Promise<Uint8Array>;
  /** Whether the key was given for this run, with --key. */
  readonly isKeyFromOption: boolean;
  /** Both roles use the same token. @throws KmsPocError Usage */
  readonly vault: () => Promise<Vault>;
  readonly encryptor: RoleAccess;
  readonly decryptor: RoleAccess;
}

export const allKeys = ({ key, backupKeys, oldKeys }: Subject): readonly NamedKey[] => [
  ...(key === undefined ? [] : [key]),
  ...backupKeys,
  ...oldKeys,
];
