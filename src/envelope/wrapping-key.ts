import type { KeyringNode } from '@aws-crypto/material-management-node';
import type { KmsPocError } from '../errors.ts';
import type { EncryptedDataKeyInfo } from './header.ts';

/** What a message's header calls our keys: the provider id, with the key's fingerprint as name. */
export const localKeyNamespace = 'kms-poc-local';
export const rsaKeyNamespace = 'kms-poc-rsa';
/** What it calls KMS keys, with the ARN as name: every AWS Encryption SDK does. */
export const kmsProviderId = 'aws-kms';

/**
 * What to call a key in front of people, by what a header says of it.
 *
 * @param shown makes a name fit to be shown: in a header it may be anything
 */
export function keyTitle(
  { providerId, keyName }: Pick<EncryptedDataKeyInfo, 'providerId' | 'keyName'>,
  shown: (name: string) => string = (name) => name,
): string {
  switch (providerId) {
    case kmsProviderId:
      return shown(keyName);
    case localKeyNamespace:
      return `local key ${shown(keyName)}`;
    case rsaKeyNamespace:
      return `RSA key ${shown(keyName)}`;
    default:
      return `${shown(keyName)} of ${shown(providerId)}`;
  }
}

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

/** A key that is open already. */
export const openedKey = (key: WrappingKey): UnwrappingKey => ({
  name: key.name,
  mayBeNamedBy: (dataKey) => key.isNamedBy(dataKey),
  open: () => Promise.resolve(key),
});
