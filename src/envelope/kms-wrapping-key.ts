/** A KMS key as a wrapping key. */
import { AwsKmsMrkAwareSymmetricKeyringClass } from '@aws-crypto/kms-keyring';
import {
  type EncryptedDataKey,
  KeyringNode,
  type NodeAlgorithmSuite,
  type NodeDecryptionMaterial,
  type NodeEncryptionMaterial,
} from '@aws-crypto/material-management-node';

import { KmsPocError } from '../errors.ts';
import type { DataKeyCalls } from '../kms/kms.ts';
import { kmsProviderId } from './key-names.ts';
import type { WrappingKey } from './wrapping-key.ts';
import { isSameKmsKey } from '../formats/kms-arn.ts';

// Only the base class, not the package for Node, the rest of which pulls in DynamoDB. (The base
// class is abstract only by its type: the library's own code extends it like this.)
const AwsKmsKeyring = AwsKmsMrkAwareSymmetricKeyringClass<NodeAlgorithmSuite, DataKeyCalls>(
  KeyringNode as unknown as new () => KeyringNode,
) as unknown as new (input: { keyId: string; client: DataKeyCalls }) => KeyringNode;

/**
 * Asks KMS for each data key through a separate keyring. The library turns a KMS error into text,
 * so the error is kept aside here; if messages shared a keyring, it could be another message's
 * error.
 */
class KmsKeyring extends KeyringNode {
  readonly #keyArn: string;
  readonly #calls: DataKeyCalls;

  constructor(keyArn: string, calls: DataKeyCalls) {
    super();
    this.#keyArn = keyArn;
    this.#calls = calls;
  }

  _onEncrypt(material: NodeEncryptionMaterial): Promise<NodeEncryptionMaterial> {
    return this.#ask((keyring) => keyring.onEncrypt(material));
  }

  _onDecrypt(
    material: NodeDecryptionMaterial,
    encryptedDataKeys: EncryptedDataKey[],
  ): Promise<NodeDecryptionMaterial> {
    return this.#ask((keyring) => keyring.onDecrypt(material, encryptedDataKeys));
  }

  async #ask<Material>(what: (keyring: KeyringNode) => Promise<Material>): Promise<Material> {
    let kmsError: KmsPocError | undefined;
    const keepError =
      <Input, Output>(call: (input: Input) => Promise<Output>) =>
      async (input: Input): Promise<Output> => {
        try {
          return await call(input);
        } catch (error) {
          if (error instanceof KmsPocError) kmsError = error;
          throw error;
        }
      };
    const client = {
      generateDataKey: keepError(this.#calls.generateDataKey),
      encrypt: keepError(this.#calls.encrypt),
      decrypt: keepError(this.#calls.decrypt),
    };
    try {
      return await what(new AwsKmsKeyring({ keyId: this.#keyArn, client }));
    } catch (error) {
      throw kmsError ?? error;
    }
  }
}

/**
 * Opens messages of this key and, if it is a multi-Region key, of its replicas in other Regions. If
 * KMS fails, what this throws is the KmsPocError for it.
 *
 * @param keyArn the ARN of a key: with an alias or an id, the library never finds a message's key
 */
export const kmsWrappingKey = (keyArn: string, calls: DataKeyCalls): WrappingKey => ({
  name: keyArn,
  keyring: new KmsKeyring(keyArn, calls),
  isNamedBy: ({ providerId, providerInfo }) =>
    providerId === kmsProviderId && isSameKmsKey(keyArn, providerInfo),
});
