/**
 * Data keys that serve more than one message, so that thousands of messages cost one call to a key
 * service.
 *
 * The library has a cache too (caching-materials-manager-node). It holds whole materials, dozens of
 * objects each, and finds and copies them for each message, which took a fifth of a batch's time. Here
 * only what materials are made of is held: 400 bytes for a user with a local key. The keys that decrypt
 * and were used last have their materials too.
 */
import {
  KeyringTraceFlag,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
  type NodeMaterialsManager,
} from '@aws-crypto/material-management-node';

import type { KmsPocError } from '../errors.ts';
import { DataKeyBytes } from './data-key-bytes.ts';
import { commitmentPolicy, suiteFor } from './encrypt.ts';
import type { EnvelopeHeader } from './header.ts';
import { mebibyte } from './limits.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { Recent } from './recent.ts';
import { sharedPart } from './repeated-headers.ts';
import { unwrapDataKey } from './unwrap.ts';
import { blankHeader } from './whole-message.ts';
import type { UnwrappingKey } from './wrapping-key.ts';

/** How long, and for how much data, a data key is used. */
export interface DataKeyLimits {
  /** A data key is retired at whichever of these limits is reached first. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Also how long a revoked permission still works within a run. */
  readonly maxAgeMs: number;
  /**
   * Bytes of memory, about, for all data keys. Beyond that, the least recently used one is dropped.
   */
  readonly maxMemory: number;
}

export const dataKeyLimits: DataKeyLimits = {
  maxMessages: 10_000,
  maxBytes: 2 ** 30,
  maxAgeMs: 10 * 60_000,
  maxMemory: 128 * mebibyte,
};

/** What a data key takes besides text: measured. */
export const entryBytes = 250;
/** What the key pair of a signed batch takes, or the key that verifies. */
const signatureBytes = 1500;

/** To encrypt one message with `encryptWhole`, which uses it up. */
export interface MessageKey {
  readonly materials: NodeEncryptionMaterial;
  /** Holds the encrypted data keys, which these materials don't. */
  readonly header: Buffer;
}

interface DataKey {
  /** Where its bytes are: in `DataKeyBytes`. */
  readonly slot: number;
  readonly since: number;
}

interface DataKeyToEncrypt extends DataKey {
  /** As Latin-1, since a Buffer takes several times the memory. */
  readonly header: string;
  readonly signatureKey: NodeEncryptionMaterial['signatureKey'];
  messages: number;
  bytes: number;
}

interface DataKeyToDecrypt extends DataKey {
  readonly verificationKey: NodeDecryptionMaterial['verificationKey'];
  /** Of the data keys that were used last. Making them takes as long as using them. */
  materials: NodeDecryptionMaterial | undefined;
}

/** How many data keys have materials, which take 4 KiB each. */
const maxMaterials = 1000;

/**
 * @param source where new data keys come from: `encryptionMaterials`
 * @param sign whether the messages are signed: with a key that is made, and used, with the data key
 * @returns gives what one message of a user is encrypted with. A data key is one user's alone
 */
export const cachedDataKeys = (
  source: NodeMaterialsManager,
  sign: boolean,
  limits: DataKeyLimits = dataKeyLimits,
): ((user: string, plaintextLength: number) => Promise<MessageKey>) => {
  const suite = suiteFor(sign);
  const secrets = new DataKeyBytes();
  const cache = new Recent<DataKeyToEncrypt>(limits.maxMemory, ({ slot }) => {
    secrets.forget(slot);
  });
  const inTurn = oneAtATime();

  const ask = async (user: string): Promise<DataKeyToEncrypt> => {
    const request = { suite, commitmentPolicy, encryptionContext: { user } };
    const materials = await source.getEncryptionMaterials(request);
    return {
      header: blankHeader(materials).toString('latin1'),
      signatureKey: materials.signatureKey,
      slot: secrets.take(materials),
      since: Date.now(),
      messages: 0,
      bytes: 0,
    };
  };
  const hasRoom = ({ since, messages, bytes }: DataKeyToEncrypt, length: number): boolean =>
    Date.now() - since <= limits.maxAgeMs &&
    messages < limits.maxMessages &&
    bytes + length <= limits.maxBytes;
  const use = (dataKey: DataKeyToEncrypt, user: string, length: number): MessageKey => {
    dataKey.messages += 1;
    dataKey.bytes += length;
    const materials = new NodeEncryptionMaterial(suite, { user });
    secrets.give(dataKey.slot, materials, generated);
    if (dataKey.signatureKey !== undefined) materials.setSignatureKey(dataKey.signatureKey);
    return { materials, header: Buffer.from(dataKey.header, 'latin1') };
  };

  return (user, length) =>
    inTurn(
      user,
      () => {
        const dataKey = cache.get(user);
        if (dataKey !== undefined && hasRoom(dataKey, length)) return use(dataKey, user, length);
        cache.delete(user);
        return undefined;
      },
      async () => {
        const dataKey = await ask(user);
        const messageKey = use(dataKey, user, length);
        const size = entryBytes + user.length + dataKey.header.length;
        // A message that is longer than the limit has a data key to itself.
        if (length > limits.maxBytes) secrets.forget(dataKey.slot);
        else cache.set(user, dataKey, size + (sign ? signatureBytes : 0));
        return messageKey;
      },
    );
};

/**
 * @param onOtherKey called when a data key was unwrapped by a key other than the first
 * @returns lends the materials to open a message that is plain and framed, using the keys that its
 *   header names; once the function that gets them has returned, they may be overwritten. A data key
 *   is found by everything in the header that messages under it share, which includes all encrypted
 *   data keys and the encryption context, so it is never used for another user's message. The caller
 *   has checked that context against the user.
 * @throws KmsPocError, as `unwrapDataKey` does
 */
export const cachedUnwrapping = (
  keys: readonly UnwrappingKey[],
  onOtherKey: (key: string, failures: readonly KmsPocError[]) => void,
  limits: DataKeyLimits = dataKeyLimits,
): (<Result>(
  header: EnvelopeHeader,
  open: (materials: NodeDecryptionMaterial) => Result,
) => Promise<Result>) => {
  const secrets = new DataKeyBytes();
  const dropMaterials = (dataKey: DataKeyToDecrypt): void => {
    dataKey.materials?.zeroUnencryptedDataKey();
    dataKey.materials = undefined;
  };
  const withMaterials = new Recent<DataKeyToDecrypt>(maxMaterials, dropMaterials);
  const cache = new Recent<DataKeyToDecrypt>(limits.maxMemory, (dataKey) => {
    dropMaterials(dataKey);
    secrets.forget(dataKey.slot);
  });
  const inTurn = oneAtATime();

  const materialsOf = (
    name: string,
    dataKey: DataKeyToDecrypt,
    { signed, encryptionContext }: EnvelopeHeader,
  ): NodeDecryptionMaterial => {
    if (withMaterials.get(name) === dataKey && dataKey.materials !== undefined) {
      return dataKey.materials;
    }
    const materials = new NodeDecryptionMaterial(suiteFor(signed), encryptionContext);
    secrets.give(dataKey.slot, materials, decrypted);
    const { verificationKey } = dataKey;
    if (verificationKey !== undefined) materials.setVerificationKey(verificationKey);
    dataKey.materials = materials;
    withMaterials.set(name, dataKey, 1);
    return materials;
  };

  return async (header, open) => {
    const name = sharedPart(header.info.rawHeader);
    const { result } = await inTurn(
      name,
      () => {
        const dataKey = cache.get(name);
        if (dataKey === undefined) return undefined;
        if (Date.now() - dataKey.since <= limits.maxAgeMs) {
          return { result: open(materialsOf(name, dataKey, header)) };
        }
        cache.delete(name);
        return undefined;
      },
      async () => {
        const { materials, key, isFirst, failures } = await unwrapDataKey(keys, header);
        if (!isFirst) onOtherKey(key.name, failures);
        const dataKey: DataKeyToDecrypt = {
          slot: secrets.take(materials),
          since: Date.now(),
          verificationKey: materials.verificationKey,
          materials: undefined,
        };
        const size = entryBytes + name.length + (header.signed ? signatureBytes : 0);
        const opened = open(materialsOf(name, dataKey, header)); // before the cache may drop it
        cache.set(name, dataKey, size);
        return { result: opened };
      },
    );
    return result;
  };
};

/** The library wants to know where a data key comes from. */
const trace = { keyName: 'cached', keyNamespace: 'kms-poc' };
const generated = { ...trace, flags: KeyringTraceFlag.WRAPPING_KEY_GENERATED_DATA_KEY };
const decrypted = { ...trace, flags: KeyringTraceFlag.WRAPPING_KEY_DECRYPTED_DATA_KEY };
