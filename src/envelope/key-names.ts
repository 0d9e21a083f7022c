/** What a message's header calls the keys that can open it. */

/** What a header says about one of the keys that can open the message. */
export interface EncryptedDataKeyInfo {
  /** `aws-kms`, or the namespace of a raw key. */
  readonly providerId: string;
  /** The key's ARN or name; behind the name of a raw AES key, binary data. */
  readonly providerInfo: string;
  /** The key's ARN or name alone. As untrusted as the rest: see `printable`. */
  readonly keyName: string;
}

/** What a header calls our keys: the provider id, with the key's fingerprint as name. */
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

/**
 * A name from a header, fit to be shown: it may hold anything, sequences that drive a terminal
 * included.
 */
const printable = (text: string): string => {
  const shown = text.slice(0, 128).replace(/[^\x20-\x7e]/g, '?');
  return text.length > 128 ? `${shown}…` : shown;
};

/** The keys of a header in one line, bounded. */
export const printableKeys = (keys: readonly EncryptedDataKeyInfo[]): string => {
  const shown = keys.slice(0, 4).map((key) => keyTitle(key, printable));
  const more = keys.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
};
