/** From settings to what moves messages: from which keys to which, with whose credentials. */
import type { Move } from '../messages/reencrypt.ts';
import { usageError } from '../errors.ts';
import { openEncryptionKeys } from '../keys/encryption-keys.ts';
import { isSameReference, parseKeyReference } from '../keys/key-reference.ts';
import { createKeySources } from './key-sources.ts';
import { askOnce } from './terminal/ask-passphrase.ts';
import { checkRegion, type PreparedKeys } from './keys.ts';
import type { Voice } from './terminal/notices.ts';

/**
 * All that can be wrong with the settings is found now; keys are opened, and a passphrase is asked
 * for, by what is returned.
 *
 * @param prepared with the decryptor's credentials
 * @throws KmsPocError Usage
 */
export function prepareMove(prepared: PreparedKeys, voice: Voice): () => Promise<Move> {
  const { settings, key, backupKeys, oldKeys, sources } = prepared;
  if (settings.toKey === undefined) {
    throw usageError(
      'No key is set to move messages to.',
      'Name it: --to-key KEY, or KEY_ID in the settings.',
    );
  }
  const newKey = parseKeyReference(settings.toKey.value, settings.toKey.source);
  // Not held to FALLBACK_REGIONS: those are of the key that is left, it may be.
  checkRegion(newKey, settings);
  const newKeys = [newKey, ...backupKeys] as const;
  const known = [key, ...backupKeys, ...oldKeys];
  // A file's proof opens a key once more.
  const readPassphrase = askOnce(sources.readPassphrase);
  const encryptor = { ...createKeySources(settings, 'ENCRYPTOR', voice), readPassphrase };
  return async () => ({
    // The new key among them: what was moved already must not stop a second run.
    oldKeys: known.some((each) => isSameReference(each, newKey)) ? known : [...known, newKey],
    newKeys,
    encryptionKeys: await openEncryptionKeys(newKeys, encryptor),
    decryptor: { ...sources, readPassphrase },
    // In another Region a move would be none within KMS; it can wait until the Region is back.
    mover: createKeySources({ ...settings, fallbackRegions: [] }, undefined, voice),
  });
}
