/**
 * Turns settings into keys: which key is meant, and what opens it. Anything that can be wrong with
 * the settings is found here, before a message is asked for.
 */
import { existsSync } from 'node:fs';
import { env } from 'node:process';

import { maxEncryptedDataKeys } from '../envelope/limits.ts';
import { type KmsPocError, usageError } from '../errors.ts';
import { isMultiRegionKey } from '../formats/kms-arn.ts';
import { openEncryptionKeys } from '../keys/encryption-keys.ts';
import {
  isSameReference,
  type KeyReference,
  keyReferenceText,
  parseKeyReference,
  parseKeyReferences,
} from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { isAwsHost } from '../kms/hosts.ts';
import type { Move } from '../messages/reencrypt.ts';
import type { Arguments } from './arguments.ts';
import { type FileInUse, filesInUse } from './files-in-use.ts';
import { defaultLocalKeyFile } from './folders.ts';
import { type Access, createAccess, createKeySources } from './key-sources.ts';
import { isFromImplicitFile, isFromOption, type Setting, titleOf } from './setting.ts';
import { checkUser } from './setting-values.ts';
import { loadSettings, type Role, type Settings, tellOverrides } from './settings.ts';
import { askOnce } from './terminal/ask-passphrase.ts';
import { isInteractive } from './terminal/ask-user.ts';
import type { Notices } from './terminal/notices.ts';

interface PreparedKeys {
  readonly access: Access;
  readonly key: KeyReference;
  /** More keys for each new message, any of which can open it. */
  readonly backupKeys: readonly KeyReference[];
  /** All keys that may open a message, in the order to try them. */
  readonly allKeys: readonly KeyReference[];
  readonly sources: KeySources;
  /** What the output must not replace. */
  readonly inUse: readonly FileInUse[];
}

/** @throws KmsPocError Usage */
export async function prepareKeys(
  args: Arguments,
  role: Role,
  notices: Notices,
): Promise<PreparedKeys> {
  const settings = await loadSettings(args, env);
  tellOverrides(settings, env, notices);
  const access = createAccess(settings, notices);
  const { file } = settings;
  if (file !== undefined) access.events.keyFile(file.path, file.stat, true);
  const users = settings.users();
  const sources = createKeySources(access, role);
  const key = chooseKey(settings, notices);
  const backupKeys = parseBackupKeys(settings);
  const oldKeys = parseList(settings.decryptKeys);
  if (args.user !== undefined) checkUser(args.user, users);
  if (role === 'ENCRYPTOR')
    tellImplicitKeys([settings.keyId, settings.backupKeys], [key, ...backupKeys], notices);
  const allKeys = [key, ...backupKeys, ...oldKeys];
  const inUse = await filesInUse(settings, allKeys);
  return { access, key, backupKeys, allKeys, sources, inUse };
}

/**
 * For `kms-reencrypt`: which keys to move from and to, and whose credentials to use. Anything that
 * can be wrong with the settings is found now; `openMove` opens keys and asks for a passphrase.
 *
 * @throws KmsPocError Usage
 */
export async function prepareMove(
  args: Arguments,
  notices: Notices,
): Promise<Pick<PreparedKeys, 'access' | 'inUse'> & { readonly openMove: () => Promise<Move> }> {
  const { access, backupKeys, allKeys, sources } = await prepareKeys(args, 'DECRYPTOR', notices);
  const { settings } = access;
  if (settings.toKey === undefined) {
    throw usageError('No key to move messages to.', 'Use --to-key KEY, or set KEY_ID.');
  }
  const newKey = placed(parseKeyReference(settings.toKey.value, titleOf(settings.toKey)));
  // FALLBACK_REGIONS is not checked against the new key: it may be meant for the key being left.
  checkRegion(newKey, settings);
  const newKeys = [newKey, ...backupKeys] as const;
  tellImplicitKeys([settings.toKey, settings.backupKeys], newKeys, notices);
  // That it was not the first key is what a message is moved for.
  const silent: Access = { ...access, events: { ...access.events, otherKey: () => undefined } };
  // A file's proof opens a key once more.
  const readPassphrase = askOnce(sources.readPassphrase);
  const encryptor = { ...createKeySources(silent, 'ENCRYPTOR'), readPassphrase };
  const sign = settings.sign();
  const requireSigned = settings.requireSigned();
  const openMove = async (): Promise<Move> => ({
    sign,
    requireSigned,
    // The new key among them: what was moved already must not stop a second run.
    oldKeys:
      isYetToBeMade(newKey) || allKeys.some((each) => isSameReference(each, newKey))
        ? allKeys
        : [...allKeys, newKey],
    newKeys,
    encryptionKeys: await openEncryptionKeys(newKeys, encryptor),
    decryptor: { ...sources, events: silent.events, readPassphrase },
    // In another Region a move would be none within KMS; it can wait until the Region is back.
    mover: createKeySources(silent, undefined, []),
  });
  return { access, inUse: await filesInUse(settings, [...allKeys, newKey]), openMove };
}

/**
 * An `.env` that nobody named says who can open new messages, and may have been put there by somebody
 * else. A key of KMS has a policy and a log; any other is told of.
 *
 * @param settings that name the keys
 * @param keys that new messages are encrypted with
 */
function tellImplicitKeys(
  settings: readonly (Setting | undefined)[],
  keys: readonly KeyReference[],
  { warn }: Notices,
): void {
  const implicit = settings.flatMap((each) =>
    each !== undefined && isFromImplicitFile(each) ? [each] : [],
  );
  const isForeign = implicit.flatMap(parseList).some(({ kind }) => kind !== 'aws');
  if (!isForeign) return;
  const names = implicit.map((setting) => setting.name).join(' and ');
  const titles = new Set(keys.map(keyReferenceText));
  warn(`new messages can be opened with ${[...titles].join(', ')}: .env says so (${names}).`);
}

/** It opens nothing, so that it isn't there is no error yet. */
const isYetToBeMade = (key: KeyReference): boolean =>
  key.kind === 'local' && !existsSync(key.file ?? defaultLocalKeyFile());

export const parseList = (setting: Setting | undefined): KeyReference[] =>
  setting === undefined ? [] : parseKeyReferences(setting.value, titleOf(setting)).map(placed);

/** Without a home folder `local` means no file. That must not turn up after the message is typed. */
function placed<Reference extends KeyReference>(reference: Reference): Reference {
  if (reference.kind === 'local' && reference.file === undefined) defaultLocalKeyFile();
  return reference;
}

/** @throws KmsPocError Usage, without a home folder */
export const defaultKey = (): KeyReference => placed({ kind: 'local', file: undefined });

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
function chooseKey(settings: Settings, { notice }: Notices): KeyReference {
  const key = parseKey(settings);
  if (key !== undefined) {
    checkFallback(key, settings);
    return key;
  }
  if (!isInteractive()) throw noKeySet(settings);
  const byDefault = defaultKey();
  notice(
    `KEY_ID is not set${settings.file === undefined ? ' and there is no .env in this folder' : ''}: using the local key ${defaultLocalKeyFile()}. To use AWS KMS, set KEY_ID in ${settings.file?.path ?? '.env'} or pass --key.`,
  );
  return byDefault;
}

/**
 * @returns undefined if none is set
 * @throws KmsPocError Usage
 */
export function parseKey(settings: Settings): KeyReference | undefined {
  const { keyId } = settings;
  if (keyId === undefined) return undefined;
  const key = placed(parseKeyReference(keyId.value, titleOf(keyId)));
  checkRegion(key, settings);
  return key;
}

export const noKeySet = ({ file }: Settings): KmsPocError =>
  usageError(
    'No key is set.',
    `Set KEY_ID in ${file?.path ?? '.env'} or the environment, or pass --key. (--key local needs no AWS account.)`,
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
