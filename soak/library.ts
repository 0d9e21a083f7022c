/**
 * What the messages are compared with: AWS's own packages, used as their documentation says. Only
 * the names of the keys come from the code under test.
 */
import { readFileSync } from 'node:fs';

import { buildDecrypt } from '@aws-crypto/decrypt-node';
import {
  type AwsEsdkKMSInterface,
  AwsKmsMrkAwareSymmetricKeyringClass,
} from '@aws-crypto/kms-keyring';
import {
  CommitmentPolicy,
  KeyringNode,
  MultiKeyringNode,
  type NodeAlgorithmSuite,
} from '@aws-crypto/material-management-node';
import { RawAesKeyringNode, RawAesWrappingSuiteIdentifier } from '@aws-crypto/raw-aes-keyring-node';
import { RawRsaKeyringNode } from '@aws-crypto/raw-rsa-keyring-node';
import { KMS } from '@aws-sdk/client-kms';

import { parseKeyReference } from '../src/keys/key-reference.ts';
import { readLocalKey } from '../src/keys/local-key.ts';
import { readRsaKey } from '../src/keys/rsa-key.ts';

/** @returns undefined if the library refuses the message */
export type LibraryDecrypt = (user: string, message: Buffer) => Promise<Buffer | undefined>;

const AwsKmsKeyring = AwsKmsMrkAwareSymmetricKeyringClass<NodeAlgorithmSuite, AwsEsdkKMSInterface>(
  KeyringNode as unknown as new () => KeyringNode,
) as unknown as new (input: { keyId: string; client: AwsEsdkKMSInterface }) => KeyringNode;

const { decryptStream } = buildDecrypt({
  commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  maxEncryptedDataKeys: 16,
});

/** @param endpoint of KMS */
export function createLibrary(endpoint: string): (keys: readonly string[]) => Promise<{
  readonly decryptMessage: LibraryDecrypt;
  readonly decryptBlob: LibraryDecrypt;
}> {
  const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'moto-takes-any' };
  const clients = new Map<string, KMS>();
  const clientOf = (keyId: string): KMS => {
    const region = /^arn:aws:kms:([^:]+):/.exec(keyId)?.[1] ?? 'eu-central-1';
    const client = clients.get(region) ?? new KMS({ endpoint, region, credentials });
    clients.set(region, client);
    return client;
  };
  return async (keys) => {
    const references = keys.map((key) => parseKeyReference(key, '--key'));
    const kmsKeys = references.flatMap((key) => (key.kind === 'aws' ? [key.keyId] : []));
    const children: KeyringNode[] = kmsKeys
      .filter((keyId) => keyId.startsWith('arn:'))
      .map(
        (keyId) =>
          new AwsKmsKeyring({ keyId, client: clientOf(keyId) as unknown as AwsEsdkKMSInterface }),
      );
    for (const key of references) {
      if (key.kind === 'local') children.push(await aesKeyring(key.file ?? ''));
      if (key.kind === 'rsa') children.push(await rsaKeyring(key));
    }
    return {
      decryptMessage: async (_user, message) => {
        if (children.length === 0) return undefined;
        return decryptWith(new MultiKeyringNode({ children }), message);
      },
      decryptBlob: async (user, CiphertextBlob) => {
        for (const KeyId of kmsKeys) {
          try {
            const request = { KeyId, CiphertextBlob, EncryptionContext: { user } };
            const { Plaintext } = await clientOf(KeyId).decrypt(request);
            return Plaintext && Buffer.from(Plaintext);
          } catch {
            // The next key may open it.
          }
        }
        return undefined;
      },
    };
  };
}

/** With a stream, because `decrypt` stops listening at the first error, and a second one would end us. */
const decryptWith = (keyring: KeyringNode, message: Buffer): Promise<Buffer | undefined> =>
  new Promise((resolve) => {
    const plaintext: Buffer[] = [];
    let isHeaderRead = false;
    const stream = decryptStream(keyring, { maxBodySize: 2 ** 26 });
    stream
      .once('MessageHeader', () => {
        isHeaderRead = true;
      })
      .on('data', (chunk: Buffer) => plaintext.push(chunk))
      .on('error', () => {
        resolve(undefined);
      })
      .on('end', () => {
        resolve(isHeaderRead ? Buffer.concat(plaintext) : undefined);
      });
    stream.end(message);
  });

async function aesKeyring(file: string): Promise<KeyringNode> {
  const key = await readLocalKey(file);
  if (key === undefined) throw new Error(`there is no ${file}`);
  return new RawAesKeyringNode({
    keyNamespace: 'kms-poc-local',
    keyName: key.fingerprint,
    unencryptedMasterKey: new Uint8Array(key.keyBytes),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
}

async function rsaKeyring(key: Parameters<typeof readRsaKey>[0]): Promise<KeyringNode> {
  const noPassphrase = (): Promise<never> => Promise.reject(new Error('there is no passphrase'));
  const { fingerprint } = await readRsaKey(key, noPassphrase);
  return new RawRsaKeyringNode({
    keyNamespace: 'kms-poc-rsa',
    keyName: fingerprint,
    rsaKey: { privateKey: readFileSync(key.file, 'utf8') },
    oaepHash: 'sha256',
  });
}
