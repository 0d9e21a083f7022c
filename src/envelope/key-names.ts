/** The names that a message's header gives the keys that can open it. */

/** What a header says about one of the keys that can open the message. */
export interface EncryptedDataKeyInfo {
  /** `aws-kms`, or the namespace of a raw key. */
  readonly providerId: string;
  /** The key's ARN or name; for a raw AES key, binary data follows the name. */
  readonly providerInfo: string;
  /** The key's ARN or name alone. As untrusted as the rest: see `printable`. */
  readonly keyName: string;
}

/** What a header calls our keys: this provider id, with the key's fingerprint as the name. */
export const localKeyNamespace = 'kms-poc-local';
export const rsaKeyNamespace = 'kms-poc-rsa';
/** What it calls transit keys of Vault, with MOUNT/NAME as the name: docs/vault.md. */
export const vaultProviderId = 'kms-poc-vault';
/** What it calls KMS keys, with the ARN as the name, as in every AWS Encryption SDK. */
export const kmsProviderId = 'aws-kms';

/**
 * Whether a data key could be one of a transit key, as far as a header tells: which RSA key it has, if
 * any, only Vault knows.
 *
 * @param vaultKeyName MOUNT/NAME
 */
export const mayBeVaultKey = (
  vaultKeyName: string,
  { providerId, providerInfo }: Pick<EncryptedDataKeyInfo, 'providerId' | 'providerInfo'>,
): boolean =>
  (providerId === vaultProviderId && providerInfo === vaultKeyName) ||
  providerId === rsaKeyNamespace;

/**
 * Returns what to call a key when talking to people, from what a header says about it.
 *
 * @param shown makes a name safe to show, because a header can contain anything
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
    case vaultProviderId:
      return `Vault key ${shown(keyName)}`;
    default:
      return `${shown(keyName)} of ${shown(providerId)}`;
  }
}

/**
 * Makes a name from a header safe to show: it can contain anything, including sequences that
 * control a terminal.
 */
const printable = (text: string): string => {
  const shown = text.slice(0, 128).replace(/[^\x20-\x7e]/g, '?');
  return text.length > 128 ? `${shown}…` : shown;
};

/** Lists the keys of a header on one line of limited length. */
export const printableKeys = (keys: readonly EncryptedDataKeyInfo[]): string => {
  const shown = keys.slice(0, 4).map((key) => keyTitle(key, printable));
  const more = keys.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
};
