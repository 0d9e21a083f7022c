/** Finds a message's data key, using the keys that the settings name. */
import {
  NodeAlgorithmSuite,
  type NodeDecryptionMaterial,
  NodeDefaultCryptographicMaterialsManager,
} from '@aws-crypto/material-management-node';

import { KmsPocError } from '../errors.ts';
import type { EnvelopeHeader } from './header.ts';
import { printableKeys } from './key-names.ts';
import { cannotDecrypt } from './errors.ts';
import type { UnwrappingKey, WrappingKey } from './wrapping-key.ts';

export interface Opened {
  readonly key: WrappingKey;
  readonly isFirst: boolean;
  /** The errors of the keys before it, if they were asked. */
  readonly failures: readonly KmsPocError[];
}

/**
 * Asks the keys that the header names, and no others, for the message's data key.
 *
 * @throws KmsPocError WrongKey if the header names none of them; the errors of the keys' services,
 *   with the code of the first; CannotDecrypt; Interrupted at a passphrase prompt, immediately
 */
export const unwrapDataKey = async (
  keys: readonly UnwrappingKey[],
  header: EnvelopeHeader,
): Promise<Opened & { materials: NodeDecryptionMaterial }> => {
  const dataKeys = header.encryptedDataKeys;
  const otherKeys: string[] = [];
  const failures: KmsPocError[] = [];
  let badDataKey: BadDataKey | undefined;
  let onlyWraps: KmsPocError | undefined;
  for (const configured of keys) {
    if (!dataKeys.some((dataKey) => configured.mayBeNamedBy(dataKey))) {
      otherKeys.push(configured.name);
      continue;
    }
    try {
      const key = await configured.open();
      if (!dataKeys.some((dataKey) => key.isNamedBy(dataKey))) {
        // Shows the key as the settings name it, an alias or a file, and which key that turned out
        // to be.
        const { name } = configured;
        otherKeys.push(name === key.name ? name : `${name} (${key.name})`);
        continue;
      }
      if (key.onlyWraps !== undefined) {
        onlyWraps ??= key.onlyWraps;
        continue;
      }
      const materials = await unwrapWith(key, header);
      return { materials, key, isFirst: configured === keys[0], failures };
    } catch (error) {
      // This key can't be had, or doesn't unwrap: another one may.
      if (error instanceof BadDataKey) badDataKey ??= error;
      else if (!(error instanceof KmsPocError) || error.code === 'Interrupted') throw error;
      // A key of which only its service can tell whether it is meant.
      else if (error.code === 'WrongKey') otherKeys.push(configured.name);
      else failures.push(error);
    }
  }
  const [first, ...others] = failures;
  if (first !== undefined) {
    if (onlyWraps !== undefined) others.push(onlyWraps);
    throw others.length === 0 ? first : allOf(first, others);
  }
  if (badDataKey !== undefined) throw cannotDecrypt(badDataKey.cause);
  // A public key among the settings is no reason to fetch its private half from the safe.
  throw otherKeys.length === 0 && onlyWraps !== undefined
    ? onlyWraps
    : wrongKey(otherKeys, onlyWraps, header);
};

/** Includes every key that failed, since someone may be able to fix any one of them. */
const allOf = (first: KmsPocError, others: readonly KmsPocError[]): KmsPocError => {
  const messages = new Set([first, ...others].map(({ message }) => message));
  return new KmsPocError(first.code, [...messages].join(' '), first.hint, { cause: first });
};

/** What the cryptography says of this message, as opposed to the way to a key. */
class BadDataKey extends Error {}

const unwrapWith = async (
  key: WrappingKey,
  header: EnvelopeHeader,
): Promise<NodeDecryptionMaterial> => {
  const { encryptionContext, encryptedDataKeys, suiteId } = header.info.messageHeader;
  const suite = new NodeAlgorithmSuite(suiteId);
  const manager = new NodeDefaultCryptographicMaterialsManager(key.keyring);
  try {
    return await manager.decryptMaterials({ suite, encryptionContext, encryptedDataKeys });
  } catch (error) {
    throw error instanceof KmsPocError ? error : new BadDataKey('', { cause: error });
  }
};

const wrongKey = (
  keyNames: readonly string[],
  onlyWraps: KmsPocError | undefined,
  header: EnvelopeHeader,
): KmsPocError =>
  new KmsPocError(
    'WrongKey',
    `This message opens with ${printableKeys(header.encryptedDataKeys)}, not with ${[...new Set(keyNames)].join(', ')}.${onlyWraps === undefined ? '' : ` ${onlyWraps.message}`}`,
    'Pass its key with --key, or add it to DECRYPT_KEYS.',
  );
