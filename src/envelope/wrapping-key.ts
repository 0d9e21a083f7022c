import type { KeyringNode } from '@aws-crypto/material-management-node';

import type { KmsPocError } from '../errors.ts';
import type { EncryptedDataKeyInfo } from './key-names.ts';

/** A key that wraps the data keys of messages: AWS KMS, a local file, an RSA pair. */
export interface WrappingKey {
  /** What to call it in front of the user: `local key 3f9a…`, an ARN. */
  readonly name: string;
  /** The library's part: wraps and unwraps. */
  readonly keyring: KeyringNode;
  /** Whether a header means this key. A key that no header names is never asked to unwrap. */
  isNamedBy(dataKey: EncryptedDataKeyInfo): boolean;
  /** Why it can't unwrap, where it can only wrap: a public key. It is never asked to. */
  readonly onlyWraps?: KmsPocError;
}

/**
 * A key that the settings name, which may turn out to open a message. It is opened only when a
 * header names one of its kind: a key service that is gone, or a passphrase, must not stand in the
 * way of a message that needs neither.
 */
export interface UnwrappingKey {
  /** How the settings call it. */
  readonly name: string;
  /** Tells by a header alone, without a file or a call, whether this could be the key it means. */
  mayBeNamedBy(dataKey: EncryptedDataKeyInfo): boolean;
  /** @throws KmsPocError, when the key can't be had */
  open(): Promise<WrappingKey>;
}
