/** An RSA key as a wrapping key: OAEP with SHA-256, which every HSM and key service supports. */
import { constants, type KeyObject } from 'node:crypto';

import { RawRsaKeyringNode } from '@aws-crypto/raw-rsa-keyring-node';

import { keyTitle, rsaKeyNamespace } from './key-names.ts';
import type { WrappingKey } from './wrapping-key.ts';

/**
 * @param fingerprint the key's name in each header, which is public
 * @param key a public key, which only wraps, or a private key, which only unwraps
 */
export const rsaWrappingKey = (fingerprint: string, key: KeyObject): WrappingKey => ({
  name: keyTitle({ providerId: rsaKeyNamespace, keyName: fingerprint }),
  keyring: new RawRsaKeyringNode({
    keyNamespace: rsaKeyNamespace,
    keyName: fingerprint,
    // The library's types say PEM, but node:crypto also takes a KeyObject: no copy of the key as
    // text.
    rsaKey: { [key.type === 'public' ? 'publicKey' : 'privateKey']: key },
    padding: constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: 'sha256',
  }),
  isNamedBy: (dataKey) =>
    dataKey.providerId === rsaKeyNamespace && dataKey.providerInfo === fingerprint,
});
