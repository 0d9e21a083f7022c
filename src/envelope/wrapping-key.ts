import type { KeyringNode } from '@aws-crypto/material-management-node';

import type { KmsPocError } from '../errors.ts';
import type { EncryptedDataKeyInfo } from './key-names.ts';

/** A key that wraps the data keys of messages: AWS KMS, a local file, an RSA key pair. */
export interface WrappingKey {
  /** What to call it when talking to the user: `local key 3f9a…`, an ARN. */
  readonly name: string;
  /** The library's part, which wraps and unwraps. */
  readonly keyring: KeyringNode;
  /** Whether a header refers to this key. A key that no header names is never asked to unwrap. */
  isNamedBy(dataKey: EncryptedDataKeyInfo): boolean;
  /** Why it can't unwrap, for a key that can only wrap: a public key. It is never asked to. */
  readonly onlyWraps?: KmsPocError;
}

/**
 * A key that the settings name and that may turn out to open a message. It is opened only when a
 * header names a key of its kind: a key service that is down, or a passphrase, must not get in the
 * way of a message that needs neither.
 */
export interface UnwrappingKey {
  /** How the settings name it. */
  readonly name: string;
  /**
   * Tells from a header alone, without a file or a call, whether this could be the key it means.
   */
  mayBeNamedBy(dataKey: EncryptedDataKeyInfo): boolean;
  /** @throws KmsPocError, if the key is not available */
  open(): Promise<WrappingKey>;
}
