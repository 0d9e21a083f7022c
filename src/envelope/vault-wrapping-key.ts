/**
 * A transit key of Vault as a wrapping key: docs/vault.md says what it puts into a header.
 *
 * A symmetric key wraps and unwraps, with the encryption context as associated data, so that Vault
 * itself refuses another user. An RSA key only unwraps what `rsa:FILE` of its public half has wrapped.
 */
import { randomBytes } from 'node:crypto';

import {
  EncryptedDataKey,
  KeyringNode,
  KeyringTraceFlag,
  type NodeDecryptionMaterial,
  type NodeEncryptionMaterial,
  unwrapDataKey,
} from '@aws-crypto/material-management-node';
import { serializeFactory } from '@aws-crypto/serialize';

import { KmsPocError } from '../errors.ts';
import { once } from '../streams/once.ts';
import { asBuffer } from '../streams/byte-stream.ts';
import { isVaultCiphertext, type Vault, type VaultKeyName } from '../vault/vault.ts';
import { cannotDecrypt } from './errors.ts';
import { keyTitle, mayBeVaultKey, rsaKeyNamespace, vaultProviderId } from './key-names.ts';
import type { WrappingKey } from './wrapping-key.ts';

const { serializeEncryptionContext } = serializeFactory(
  (text: string) => Buffer.from(text, 'utf8'),
  {
    utf8Sorting: true,
  },
);

/** As in the header, without the length in front: what a raw AES keyring authenticates as well. */
const associatedDataOf = (context: Readonly<Record<string, string>>): Uint8Array =>
  serializeEncryptionContext(context).slice(2);

class VaultKeyring extends KeyringNode {
  readonly #vault: Vault;
  readonly #key: VaultKeyName;
  readonly #keyName: string;
  readonly #describe: () => ReturnType<Vault['describe']>;

  constructor(vault: Vault, key: VaultKeyName) {
    super();
    this.#vault = vault;
    this.#key = key;
    this.#keyName = `${key.mount}/${key.name}`;
    this.#describe = once(() => vault.describe(key));
  }

  async _onEncrypt(material: NodeEncryptionMaterial): Promise<NodeEncryptionMaterial> {
    const { encryptionContext: context, suite } = material;
    if (!material.hasUnencryptedDataKey) {
      const dataKey = new Uint8Array(randomBytes(suite.keyLengthBytes));
      const flag = KeyringTraceFlag.WRAPPING_KEY_GENERATED_DATA_KEY;
      material.setUnencryptedDataKey(dataKey, this.#trace(flag));
    }
    const dataKey = unwrapDataKey(material.getUnencryptedDataKey()); // a copy
    const ciphertext = await this.#vault
      .encrypt(this.#key, context.user, dataKey, associatedDataOf(context))
      .finally(() => dataKey.fill(0));
    return material.addEncryptedDataKey(
      new EncryptedDataKey({
        providerId: vaultProviderId,
        providerInfo: this.#keyName,
        encryptedDataKey: Buffer.from(ciphertext, 'utf8'),
      }),
      KeyringTraceFlag.WRAPPING_KEY_ENCRYPTED_DATA_KEY |
        KeyringTraceFlag.WRAPPING_KEY_SIGNED_ENC_CTX,
    );
  }

  async _onDecrypt(
    material: NodeDecryptionMaterial,
    dataKeys: EncryptedDataKey[],
  ): Promise<NodeDecryptionMaterial> {
    const own = dataKeys.filter(
      ({ providerId, providerInfo }) =>
        providerId === vaultProviderId && providerInfo === this.#keyName,
    );
    const dataKey =
      own.length > 0
        ? await this.#unwrap(material, own)
        : await this.#unwrapRsa(material, dataKeys);
    // The library rejects a view of a larger buffer, and overwrites what it is given.
    const copy = new Uint8Array(dataKey);
    dataKey.fill(0);
    return material.setUnencryptedDataKey(
      copy,
      this.#trace(
        KeyringTraceFlag.WRAPPING_KEY_DECRYPTED_DATA_KEY |
          KeyringTraceFlag.WRAPPING_KEY_VERIFIED_ENC_CTX,
      ),
    );
  }

  /** @param dataKeys of this key; usually one, but a header can contain anything */
  async #unwrap(
    { encryptionContext: context }: NodeDecryptionMaterial,
    dataKeys: readonly EncryptedDataKey[],
  ): Promise<Uint8Array> {
    let lastError = cannotDecrypt(undefined);
    for (const { encryptedDataKey } of dataKeys) {
      const text = asBuffer(encryptedDataKey).toString('latin1');
      if (!isVaultCiphertext(text)) continue;
      try {
        return await this.#vault.decrypt(this.#key, context.user, text, associatedDataOf(context));
      } catch (error) {
        if (!(error instanceof KmsPocError) || error.code !== 'CannotDecrypt') throw error;
        lastError = error;
      }
    }
    throw lastError;
  }

  /** @throws KmsPocError WrongKey, if no version of this key is the one that the header names */
  async #unwrapRsa(
    { encryptionContext: context }: NodeDecryptionMaterial,
    dataKeys: readonly EncryptedDataKey[],
  ): Promise<Uint8Array> {
    const { publicKeys } = await this.#describe();
    for (const { providerId, providerInfo, encryptedDataKey } of dataKeys) {
      const found = providerId === rsaKeyNamespace ? publicKeys.get(providerInfo) : undefined;
      if (found === undefined) continue;
      const text = `vault:v${found.version}:${asBuffer(encryptedDataKey).toString('base64')}`;
      return this.#vault.decrypt(this.#key, context.user, text, undefined);
    }
    throw new KmsPocError(
      'WrongKey',
      `No version of ${this.#keyName} in Vault is an RSA key that opens this message.`,
      'Pass its key with --key, or add it to DECRYPT_KEYS.',
    );
  }

  #trace(flags: KeyringTraceFlag) {
    return { keyNamespace: vaultProviderId, keyName: this.#keyName, flags };
  }
}

export const vaultWrappingKey = (vault: Vault, key: VaultKeyName): WrappingKey => ({
  name: keyTitle({ providerId: vaultProviderId, keyName: `${key.mount}/${key.name}` }),
  keyring: new VaultKeyring(vault, key),
  // Only Vault knows which RSA key it is.
  isNamedBy: (dataKey) => mayBeVaultKey(`${key.mount}/${key.name}`, dataKey),
});
