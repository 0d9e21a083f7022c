import { RawAesKeyringNode, RawAesWrappingSuiteIdentifier } from '@aws-crypto/raw-aes-keyring-node';
import { keyTitle, localKeyNamespace } from './key-names.ts';
import type { WrappingKey } from './wrapping-key.ts';

/**
 * A local AES-256 key as a wrapping key. Other tools open its messages with a raw AES keyring that
 * has the same namespace, name and bytes.
 *
 * @param keyName the key's fingerprint, which is public: every header contains it
 * @param keyBytes 32 bytes; copied, so the caller may overwrite them
 */
export const localWrappingKey = (keyName: string, keyBytes: Uint8Array): WrappingKey => ({
  name: keyTitle({ providerId: localKeyNamespace, keyName }),
  keyring: new RawAesKeyringNode({
    keyNamespace: localKeyNamespace,
    keyName,
    // The keyring rejects a view of a larger buffer, and overwrites what it is given.
    unencryptedMasterKey: new Uint8Array(keyBytes),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  }),
  isNamedBy: (dataKey) => dataKey.providerId === localKeyNamespace && dataKey.keyName === keyName,
});
