/** What AWS KMS says about a key itself, for `kms-doctor`. */
import { DescribeKeyCommand, type KeyMetadata } from '@aws-sdk/client-kms';

import { openConnection } from './connection.ts';
import type { KmsOptions } from './options.ts';

export interface KeyState {
  readonly keyArn: string;
  /** As KMS calls it, such as `Enabled`. */
  readonly state: string;
  readonly deletionDate: Date | undefined;
  /** False if it is meant for something else, such as signatures, or is not symmetric. */
  readonly isForMessages: boolean;
  /** Undefined for a single-Region key. */
  readonly multiRegion:
    { readonly primary: string; readonly replicas: readonly string[] } | undefined;
}

export interface KeyStates {
  /** The Region that is asked. */
  readonly region: string;
  /** @throws KmsPocError, see errors.ts */
  describe(keyId: string): Promise<KeyState>;
}

/** @throws KmsPocError Usage, for a profile or Region that does not exist */
export async function connectKeyStates(options: KmsOptions): Promise<KeyStates> {
  const { client, region, send } = await openConnection(options);
  return {
    region,
    async describe(keyId) {
      const { KeyId: keyArn, key } = await send('look up', { KeyId: keyId }, async (call) => {
        const command = new DescribeKeyCommand({ KeyId: keyId });
        const { KeyMetadata: metadata } = await client.send(command, call);
        return { KeyId: metadata?.Arn, key: metadata };
      });
      return {
        keyArn,
        state: key?.KeyState ?? 'a state that KMS did not tell',
        deletionDate: key?.DeletionDate,
        isForMessages:
          (key?.KeyUsage ?? 'ENCRYPT_DECRYPT') === 'ENCRYPT_DECRYPT' &&
          (key?.KeySpec ?? 'SYMMETRIC_DEFAULT') === 'SYMMETRIC_DEFAULT',
        multiRegion: multiRegionOf(key),
      };
    },
  };
}

function multiRegionOf(key: KeyMetadata | undefined): KeyState['multiRegion'] {
  const { PrimaryKey, ReplicaKeys = [] } = key?.MultiRegionConfiguration ?? {};
  if (PrimaryKey?.Region === undefined) return undefined;
  const replicas = ReplicaKeys.flatMap(({ Region }) => (Region === undefined ? [] : [Region]));
  return { primary: PrimaryKey.Region, replicas };
}
