/**
 * Many messages that are held in memory whole: a data key serves more than one of them, and each
 * key from the settings is opened once.
 */
import {
  cachedDataKeys,
  cachedUnwrapping,
  type DataKeyLimits,
  dataKeyLimits,
} from '../envelope/data-key-cache.ts';
import { decryptMessage } from '../envelope/decrypt.ts';
import { encryptionMaterials } from '../envelope/encrypt.ts';
import { headerParser, isPlainFramed } from '../envelope/repeated-headers.ts';
import { requireReadable } from '../envelope/requirements.ts';
import { decryptWhole, encryptWhole } from '../envelope/whole-message.ts';
import { formatOf } from '../formats/ciphertext-format.ts';
import { unwrappingKey } from '../keys/decryption-keys.ts';
import { type EncryptionKeys, loadWrappingKeys } from '../keys/encryption-keys.ts';
import type { KeyReference } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { collectAll, streamOf } from '../streams/byte-stream.ts';
import { once } from '../streams/once.ts';
import { openKmsBlob } from './kms-blob.ts';

type EncryptWhole = (user: string, plaintext: Uint8Array) => Promise<Buffer>;
type DecryptWhole = (user: string, ciphertext: Buffer) => Promise<Uint8Array>;

/** @param keys each of them can open the messages; loaded when there is the first one */
export function wholeEncrypter(
  keys: EncryptionKeys,
  sign: boolean,
  limits = dataKeyLimits,
): EncryptWhole {
  const dataKeys = once(async () =>
    cachedDataKeys(encryptionMaterials(await loadWrappingKeys(keys)), sign, limits),
  );
  return async (user, plaintext) => {
    const dataKeyFor = await dataKeys();
    const { materials, header } = await dataKeyFor(user, plaintext.length);
    return encryptWhole(materials, plaintext, header);
  };
}

/** @param keys the keys that may be used, and no others, in the order to try them */
export function wholeDecrypter(
  keys: readonly KeyReference[],
  sources: KeySources,
  requireSigned: boolean,
  limits: DataKeyLimits = dataKeyLimits,
): DecryptWhole {
  // Opened once for all messages, so that a key's file is not read, or its passphrase asked for,
  // again.
  const unwrappingKeys = keys.map((reference) => {
    const key = unwrappingKey(reference, sources);
    return { ...key, open: once(() => key.open()) };
  });
  const { otherKey } = sources.events;
  const parseHeader = headerParser();
  const lendMaterials = cachedUnwrapping(unwrappingKeys, otherKey, limits);
  return async (user, ciphertext) => {
    if (formatOf(ciphertext) === 'kms') {
      return (await openKmsBlob(keys, sources, user, ciphertext)).plaintext;
    }
    const header = parseHeader(ciphertext);
    if (header !== undefined && isPlainFramed(header)) {
      requireReadable(header, user, requireSigned);
      const plaintext = await lendMaterials(header, (materials) =>
        decryptWhole(header, materials, ciphertext),
      );
      if (plaintext !== undefined) return plaintext;
    }
    // Of another layout, or not sound: then this says what it is.
    return collectAll(
      decryptMessage({
        keys: unwrappingKeys,
        user,
        ciphertext: streamOf(ciphertext),
        requireSigned,
        outputHeldUntilEnd: true,
        onOpened: ({ key, isFirst, failures }) => {
          if (!isFirst) otherKey(key.name, failures);
        },
      }),
    );
  };
}
