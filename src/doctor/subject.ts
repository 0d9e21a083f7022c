/** What kms-doctor looks at: a set-up, as the command line's side has read it. */
import type { Stats } from 'node:fs';

import type { KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import type { KeyStates } from '../kms/key-state.ts';

export interface NamedKey {
  /** What to call it: `KEY_ID`, `backup key 1`. */
  readonly name: string;
  readonly reference: KeyReference;
}

/** One of the two roles: its credentials, and what they open. */
export interface RoleAccess {
  readonly role: 'encryptor' | 'decryptor';
  /**
   * They go to the Region that they are asked for, and to no other in its place.
   *
   * @throws KmsPocError Usage, for settings that no command takes
   */
  readonly keySources: () => KeySources;
  /** @throws KmsPocError, see identity.ts */
  readonly identity: () => Promise<string>;
  /** @throws KmsPocError */
  readonly keyStates: (region: string | undefined) => Promise<KeyStates>;
}

export interface Subject {
  /** Whom the canaries are for. Undefined: the settings name nobody, which is a finding there. */
  readonly user: string | undefined;
  /** Undefined: none is set that can be used, which is a finding of the settings. */
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
  /** Who else could have changed, or can read, a file; undefined: nobody. */
  readonly riskOf: (
    file: string,
    stat: Stats,
    isSecret: boolean,
  ) => { readonly text: string; readonly fix: string } | undefined;
  readonly defaultLocalKeyFile: string;
  /** As `KeySources` have it. */
  readonly readPassphrase: (file: string) => Promise<Uint8Array>;
  /** Whether the key was named for this run, by --key. */
  readonly isKeyFromOption: boolean;
  readonly encryptor: RoleAccess;
  readonly decryptor: RoleAccess;
}

export const allKeys = ({ key, backupKeys, oldKeys }: Subject): readonly NamedKey[] => [
  ...(key === undefined ? [] : [key]),
  ...backupKeys,
  ...oldKeys,
];
