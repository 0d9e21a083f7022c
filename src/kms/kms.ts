/**
 * The small wrapper around AWS KMS that the commands share: a message of up to 4,096 bytes in,
 * base64 out, and back, under the encryption context `{ user }`.
 */
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  ReEncryptCommand,
} from '@aws-sdk/client-kms';

import { isKeyArn } from '../formats/kms-arn.ts';
import { checkKey, type KeyAndContext, noSense, openConnection } from './connection.ts';
import type { KmsOptions } from './options.ts';

export interface Kms {
  /** The Region that is asked. */
  readonly region: string;
  /**
   * @param plaintext 1 to 4,096 bytes
   * @throws KmsPocError, see errors.ts
   */
  encrypt(
    keyId: string,
    user: string,
    plaintext: Uint8Array,
  ): Promise<{ ciphertextBase64: string; keyArn: string }>;
  /**
   * @param keyId the only key that may open it, as given by the user
   * @throws KmsPocError, see errors.ts
   */
  decrypt(
    keyId: string,
    user: string,
    ciphertextBase64: string,
  ): Promise<{ plaintext: Uint8Array; keyArn: string }>;
  /**
   * Moves a ciphertext to another key, or to the newest material of the same key. The plaintext
   * never leaves KMS.
   *
   * @param keyId the only key that may open it, as given by the user
   * @param newKeyId a key in the same Region
   * @throws KmsPocError, see errors.ts
   */
  reEncrypt(
    keyId: string,
    user: string,
    ciphertextBase64: string,
    newKeyId: string,
  ): Promise<{ ciphertextBase64: string; keyArn: string }>;
  /**
   * Looks up which key an alias or a bare id means. (The ARN of a key is returned as it is.)
   *
   * @throws KmsPocError, see errors.ts
   */
  resolveKey(keyId: string): Promise<string>;
  /** The calls with which the AWS Encryption SDK wraps and unwraps data keys. */
  readonly dataKeys: DataKeyCalls;
}

/**
 * Named as in the KMS API, because that is how the Encryption SDK calls it. Each response is
 * complete, and about the key that was asked for; each error is a KmsPocError.
 */
export interface DataKeyCalls {
  readonly generateDataKey: (
    input: KeyAndContext & { NumberOfBytes?: number },
  ) => Promise<{ KeyId: string; Plaintext: Uint8Array; CiphertextBlob: Uint8Array }>;
  readonly encrypt: (
    input: KeyAndContext & { Plaintext: Uint8Array },
  ) => Promise<{ KeyId: string; CiphertextBlob: Uint8Array }>;
  readonly decrypt: (
    input: KeyAndContext & { CiphertextBlob: Uint8Array },
  ) => Promise<{ KeyId: string; Plaintext: Uint8Array }>;
}

/** @throws KmsPocError Usage, for a profile or Region that does not exist */
export async function connectKms(options: KmsOptions): Promise<Kms> {
  const { client, region, send } = await openConnection(options);

  const dataKeys: DataKeyCalls = {
    generateDataKey: async (input) => {
      const { KeyId, Plaintext, CiphertextBlob } = await send('encrypt', input, (options) =>
        client.send(new GenerateDataKeyCommand(input), options),
      );
      return {
        KeyId,
        Plaintext: present(Plaintext, 'data key'),
        CiphertextBlob: present(CiphertextBlob, 'ciphertext'),
      };
    },
    encrypt: async (input) => {
      const { KeyId, CiphertextBlob } = await send('encrypt', input, (options) =>
        client.send(new EncryptCommand(input), options),
      );
      return { KeyId, CiphertextBlob: present(CiphertextBlob, 'ciphertext') };
    },
    decrypt: async (input) => {
      const { KeyId, Plaintext } = await send('decrypt', input, (options) =>
        client.send(new DecryptCommand(input), options),
      );
      return { KeyId, Plaintext: present(Plaintext, 'plaintext') };
    },
  };

  return {
    region,
    async encrypt(keyId, user, plaintext) {
      const { KeyId: keyArn, CiphertextBlob: ciphertext } = await dataKeys.encrypt({
        KeyId: keyId,
        Plaintext: plaintext,
        EncryptionContext: { user },
      });
      return { ciphertextBase64: Buffer.from(ciphertext).toString('base64'), keyArn };
    },

    async decrypt(keyId, user, ciphertextBase64) {
      const { KeyId: keyArn, Plaintext: plaintext } = await dataKeys.decrypt({
        KeyId: keyId,
        CiphertextBlob: Buffer.from(ciphertextBase64, 'base64'),
        EncryptionContext: { user },
      });
      return { plaintext, keyArn };
    },

    async reEncrypt(keyId, user, ciphertextBase64, newKeyId) {
      const context = { user };
      const request = {
        SourceKeyId: keyId,
        SourceEncryptionContext: context,
        CiphertextBlob: Buffer.from(ciphertextBase64, 'base64'),
        DestinationKeyId: newKeyId,
        DestinationEncryptionContext: context,
      };
      const answer = await send(
        're-encrypt',
        { KeyId: keyId, EncryptionContext: context },
        async (options) => {
          const command = new ReEncryptCommand(request);
          const { CiphertextBlob, KeyId, SourceKeyId } = await client.send(command, options);
          return { CiphertextBlob, KeyId: SourceKeyId, newKeyArn: KeyId };
        },
        newKeyId,
      );
      const ciphertext = present(answer.CiphertextBlob, 'ciphertext');
      return {
        ciphertextBase64: Buffer.from(ciphertext).toString('base64'),
        keyArn: checkKey(newKeyId, answer.newKeyArn),
      };
    },

    async resolveKey(keyId) {
      if (isKeyArn(keyId)) return keyId;
      const { KeyId: keyArn } = await send('look up', { KeyId: keyId }, async (options) => {
        const command = new DescribeKeyCommand({ KeyId: keyId });
        const { KeyMetadata: key } = await client.send(command, options);
        return { KeyId: key?.Arn };
      });
      return keyArn;
    },

    dataKeys,
  };
}

/** KMS never returns an empty plaintext or ciphertext. */
const present = (bytes: Uint8Array | undefined, what: string): Uint8Array => {
  if (bytes === undefined || bytes.length === 0) throw noSense(`no ${what}`);
  return bytes;
};
