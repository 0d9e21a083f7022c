/**
 * Turns settings into keys: which key is meant, and what opens it. Anything that can be wrong with
 * the settings is found here, before a message is asked for.
 */
import { env } from 'node:process';

import { maxEncryptedDataKeys } from '../envelope/limits.ts';
import { type KmsPocError, usageError } from '../errors.ts';
import type { Events } from '../events.ts';
import { isMultiRegionKey } from '../formats/kms-arn.ts';
import { openEncryptionKeys } from '../keys/encryption-keys.ts';
import {
  isSameReference,
  type KeyReference,
  parseKeyReference,
  parseKeyReferences,
} from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { isAwsHost } from '../kms/hosts.ts';
import type { Move } from '../messages/reencrypt.ts';
import type { Arguments } from './arguments.ts';
import { announce, createKeySources, useProfile } from './key-sources.ts';
import {
  checkUser,
  isFromOption,
  loadSettings,
  type Role,
  type Setting,
  type Settings,
  titleOf,
} from './settings.ts';
import { askOnce } from './terminal/ask-passphrase.ts';
import { isInteractive } from './terminal/ask-user.ts';
import type { Notices } from './terminal/notices.ts';

interface PreparedKeys {
  readonly settings: Settings;
  readonly key: KeyReference;
  /** More keys for each new message, any of which can open it. */
  readonly backupKeys: readonly KeyReference[];
  /** All keys that may open a message, in the order to try them. */
  readonly allKeys: readonly KeyReference[];
  readonly sources: KeySources;
}

/** @throws KmsPocError Usage */
export function prepareKeys(args: Arguments, role: Role, notices: Notices): PreparedKeys {
  const settings = loadSettings(args, env);
  if (settings.file?.othersCanRead === true) {
    notices.notice(
      `other users can read ${settings.file.path}. Run: chmod 600 ${settings.file.path}`,
    );
  }
  const users = settings.users();
  useProfile(settings);
  const sources = createKeySources(settings, role, announce(settings, notices));
  const key = chooseKey(settings, sources, notices);
  const backupKeys = parseBackupKeys(settings);
  const oldKeys = parseList(settings.decryptKeys);
  if (args.user !== undefined) checkUser(args.user, users);
  return { settings, key, backupKeys, allKeys: [key, ...backupKeys, ...oldKeys], sources };
}

/**
 * For `kms-reencrypt`: which keys to move from and to, and whose credentials to use. Anything that
 * can be wrong with the settings is found now; `openMove` opens keys and asks for a passphrase.
 *
 * @throws KmsPocError Usage
 */
export function prepareMove(
  args: Arguments,
  notices: Notices,
): { readonly settings: Settings; readonly openMove: () => Promise<Move> } {
  const { settings, backupKeys, allKeys, sources } = prepareKeys(args, 'DECRYPTOR', notices);
  if (settings.toKey === undefined) {
    throw usageError('No key to move messages to.', 'Use --to-key KEY, or set KEY_ID.');
  }
  const newKey = parseKeyReference(settings.toKey.value, titleOf(settings.toKey));
  // FALLBACK_REGIONS is not checked against the new key: it may be meant for the key being left.
  checkRegion(newKey, settings);
  const newKeys = [newKey, ...backupKeys] as const;
  // Messages are moved precisely because they are not encrypted with the first key.
  const events: Events = { ...sources.events, otherKey: () => undefined };
  // Verifying a file opens a key once more.
  const readPassphrase = askOnce(sources.readPassphrase);
  const encryptor = { ...createKeySources(settings, 'ENCRYPTOR', events), readPassphrase };
  const openMove = async (): Promise<Move> => ({
    // Includes the new key, so that a message that was already moved doesn't stop a second run.
    oldKeys: allKeys.some((each) => isSameReference(each, newKey)) ? allKeys : [...allKeys, newKey],
    newKeys,
    encryptionKeys: await openEncryptionKeys(newKeys, encryptor),
    decryptor: { ...sources, events, readPassphrase },
    // In another Region it would not be a move within KMS. It can wait until the Region is back.
    mover: createKeySources(settings, undefined, events, []),
  });
  return { settings, openMove };
}

export const parseList = (setting: Setting | undefined): KeyReference[] =>
  setting === undefined ? [] : parseKeyReferences(setting.value, titleOf(setting));

/** @throws KmsPocError Usage */
export function parseBackupKeys(settings: Settings): KeyReference[] {
  const backupKeys = parseList(settings.backupKeys);
  if (backupKeys.length < maxEncryptedDataKeys) return backupKeys;
  throw usageError(
    `BACKUP_KEYS names ${backupKeys.length} keys; a message can have at most ${maxEncryptedDataKeys - 1} besides its first.`,
    'Remove some of them.',
  );
}

/** A script must never fall back to a local key unnoticed; in a terminal it is noticed. */
function chooseKey(settings: Settings, sources: KeySources, { notice }: Notices): KeyReference {
  const key = parseKey(settings);
  if (key !== undefined) {
    checkFallback(key, settings);
    return key;
  }
  if (!isInteractive()) throw noKeySet();
  notice(
    `KEY_ID is not set${settings.file === undefined ? ' and there is no .env in this folder' : ''}: using the local key ${sources.defaultLocalKeyFile}. To use AWS KMS, set KEY_ID in .env or pass --key.`,
  );
  return { kind: 'local', file: undefined };
}

/**
 * @returns undefined if none is set
 * @throws KmsPocError Usage
 */
export function parseKey(settings: Settings): KeyReference | undefined {
  const { keyId } = settings;
  if (keyId === undefined) return undefined;
  const key = parseKeyReference(keyId.value, titleOf(keyId));
  checkRegion(key, settings);
  return key;
}

export const noKeySet = (): KmsPocError =>
  usageError(
    'No key is set.',
    'Set KEY_ID in .env or the environment, or pass --key. (--key local needs no AWS account.)',
  );

/** An ARN's Region overrides the settings, but --region for another one contradicts it. */
function checkRegion(key: KeyReference, { region }: Settings): void {
  const arnRegion = key.kind === 'aws' ? key.arnRegion : undefined;
  if (!isFromOption(region) || arnRegion === undefined || region?.value === arnRegion) return;
  throw usageError(
    `--region is ${region?.value}, but the key's ARN says ${arnRegion}.`,
    'Remove --region: the ARN already names the Region.',
  );
}

/**
 * In another Region an alias may mean another key, and a single-Region key does not exist there.
 */
export function checkFallback(key: KeyReference, settings: Settings): void {
  if (settings.fallbackRegions().length === 0 || key.kind !== 'aws') return;
  if (!isMultiRegionKey(key.keyId)) {
    throw usageError(
      `FALLBACK_REGIONS needs a multi-Region key, named by its id or ARN (mrk-…), but the key is ${key.keyId}.`,
      'Name the multi-Region key itself, or turn fallback off for this run: put FALLBACK_REGIONS=, in front of the command.',
    );
  }
  // Calls for every Region go to this endpoint, so the one Region it belongs to would get all of
  // them.
  const endpoint = settings.endpoint('kms');
  if (endpoint !== undefined && isAwsHost(new URL(endpoint.value).hostname, 'kms')) {
    throw usageError(
      `${titleOf(endpoint)} is the endpoint of one Region, so those in FALLBACK_REGIONS can't be reached.`,
      'Remove one of the two settings.',
    );
  }
}
