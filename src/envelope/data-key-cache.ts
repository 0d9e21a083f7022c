/**
 * Data keys that serve more than one message, so that thousands of messages cost one call to a key
 * service. The cache itself is the library's. It does not handle several messages asking for the
 * same data key at once, so here they ask one after the other.
 */
import {
  getLocalCryptographicMaterialsCache,
  NodeCachingMaterialsManager,
} from '@aws-crypto/caching-materials-manager-node';
import {
  NodeAlgorithmSuite,
  type NodeDecryptionMaterial,
  type NodeEncryptionMaterial,
  type NodeMaterialsManager,
} from '@aws-crypto/material-management-node';
import type { KmsPocError } from '../errors.ts';
import { asBuffer } from '../streams/byte-stream.ts';
import { unwrapDataKey } from './unwrap.ts';
import { commitmentPolicy, suiteFor } from './encrypt.ts';
import type { EnvelopeHeader } from './header.ts';
import type { UnwrappingKey } from './wrapping-key.ts';

/** How long, and for how much data, a data key is used. */
export interface DataKeyLimits {
  /** A data key is retired at whichever of these limits is reached first. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Also how long a revoked permission still works within a run. */
  readonly maxAgeMs: number;
  /** How many data keys are held at once. Beyond that, the least recently used one is dropped. */
  readonly maxDataKeys: number;
}

export const dataKeyLimits: DataKeyLimits = {
  maxMessages: 10_000,
  maxBytes: 2 ** 30,
  maxAgeMs: 10 * 60_000,
  maxDataKeys: 10_000,
};

/**
 * @param source where new data keys come from: `encryptionMaterials`
 * @param sign whether the messages are signed: with a key that is made, and used, with the data key
 * @returns gives materials for one message of a user. A data key is one user's alone: the cache
 *   finds it by the encryption context, which is `{ user }`
 */
export const cachedDataKeys = (
  source: NodeMaterialsManager,
  sign: boolean,
  limits: DataKeyLimits = dataKeyLimits,
): ((user: string, plaintextLength: number) => Promise<NodeEncryptionMaterial>) => {
  const manager = new NodeCachingMaterialsManager({
    backingMaterials: source,
    cache: getLocalCryptographicMaterialsCache(limits.maxDataKeys),
    maxAge: limits.maxAgeMs,
    maxMessagesEncrypted: limits.maxMessages,
    maxBytesEncrypted: limits.maxBytes,
  });
  const inTurn = oneAtATime();
  return (user, plaintextLength) =>
    inTurn(user, () =>
      manager.getEncryptionMaterials({
        suite: suiteFor(sign),
        commitmentPolicy,
        encryptionContext: { user },
        plaintextLength, // without it nothing is counted, or even cached
      }),
    );
};

/**
 * @param onOtherKey called when a data key was unwrapped by a key other than the first
 * @returns a function that gives the materials to open a message, using the keys that its header
 *   names. The cache finds them by all encrypted data keys and the whole encryption context of the
 *   header, so they are never used for another user's message. The caller has checked that context
 *   against the user.
 * @throws KmsPocError, as `unwrapDataKey` does
 */
export const cachedUnwrapping = (
  keys: readonly UnwrappingKey[],
  onOtherKey: (key: string, failures: readonly KmsPocError[]) => void,
  limits: DataKeyLimits = dataKeyLimits,
): ((header: EnvelopeHeader) => Promise<NodeDecryptionMaterial>) => {
  const cache = getLocalCryptographicMaterialsCache<NodeAlgorithmSuite>(limits.maxDataKeys);
  const inTurn = oneAtATime();
  return (header) => {
    const { suiteId, encryptionContext, encryptedDataKeys } = header.info.messageHeader;
    const manager = new NodeCachingMaterialsManager({
      backingMaterials: {
        decryptMaterials: async () => {
          const { materials, key, isFirst, failures } = await unwrapDataKey(keys, header);
          if (!isFirst) onOtherKey(key.name, failures);
          return materials;
        },
        getEncryptionMaterials: () => Promise.reject(new Error('these materials only decrypt')),
      },
      cache,
      partition: 'batch', // shared, because each manager would otherwise have its own part of the cache
      maxAge: limits.maxAgeMs,
    });
    const dataKey = encryptedDataKeys.map((each) => asText(each.encryptedDataKey)).join();
    return inTurn(dataKey, () =>
      manager.decryptMaterials({
        suite: new NodeAlgorithmSuite(suiteId),
        encryptionContext,
        encryptedDataKeys,
      }),
    );
  };
};

const asText = (bytes: Uint8Array): string => asBuffer(bytes).toString('latin1');

/**
 * @returns a function that runs tasks with the same name one after the other, and all others at
 *   once
 */
const oneAtATime = (): (<Result>(name: string, task: () => Promise<Result>) => Promise<Result>) => {
  const last = new Map<string, Promise<unknown>>();
  return (name, task) => {
    const before = last.get(name);
    const mine = before === undefined ? task() : before.then(task, task);
    last.set(name, mine);
    const forget = (): void => {
      if (last.get(name) === mine) last.delete(name);
    };
    mine.then(forget, forget);
    return mine;
  };
};
