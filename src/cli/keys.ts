/**
 * What the commands do first: settings, which key is meant, who the message is for, where it comes
 * from and goes to. All that can be wrong is found here, before a message is asked for.
 */
import { env, stdin } from 'node:process';

import { maxEncryptedDataKeys } from '../envelope/limits.ts';
import { type KmsPocError, usageError } from '../errors.ts';
import { isMultiRegionKey } from '../formats/kms-arn.ts';
import { type KeyReference, parseKeyReference, parseKeyReferences } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import type { Arguments } from './arguments.ts';
import { checkCiphertextOutput } from './payload/ciphertext-output.ts';
import { type Input, openInput } from './payload/input.ts';
import { createKeySources, isAwsKmsHost, useProfile } from './key-sources.ts';
import { openOutput, type Output } from './payload/output.ts';
import { withProgress } from './payload/progress.ts';
import { checkUser, loadSettings, type Role, type Setting, type Settings } from './settings.ts';
import { askUser, isInteractive, type Voice } from './terminal/notices.ts';

export interface PreparedKeys {
  readonly settings: Settings;
  readonly key: KeyReference;
  /** Further keys for each new message, which may open it too. */
  readonly backupKeys: readonly KeyReference[];
  /** Further keys to decrypt with. */
  readonly oldKeys: readonly KeyReference[];
  readonly sources: KeySources;
}

/** @throws KmsPocError Usage */
export function prepareKeys(args: Arguments, role: Role, voice: Voice): PreparedKeys {
  const settings = loadSettings(args, env);
  if (settings.file?.othersCanRead === true) {
    voice.notice(`others can read ${settings.file.path}: chmod 600 it.`);
  }
  useProfile(settings);
  const sources = createKeySources(settings, role, voice);
  const key = chooseKey(settings, sources, voice);
  const backupKeys = parseBackupKeys(settings);
  const oldKeys = parseList(settings.decryptKeys);
  if (args.user !== undefined) checkUser(args.user, settings.users);
  return { settings, key, backupKeys, oldKeys, sources };
}

/** Where the payload comes from and goes to. */
export interface Streams {
  readonly input: Input;
  readonly output: Output;
}

export interface StreamOptions {
  /** Whether the output may be the input's file, to be replaced in one step. */
  readonly inPlace?: boolean;
  /** Whether to read a frame at once: see input.ts. */
  readonly inWholeFrames?: boolean;
}

/**
 * For one message: its streams, and its user, whom a person is asked for.
 *
 * @throws KmsPocError
 */
export async function prepareMessage(
  args: Arguments,
  settings: Settings,
  options: StreamOptions = {},
): Promise<Streams & { readonly user: string }> {
  if (args.user === undefined && !isInteractive()) {
    throw usageError('No user is named.', 'Name one: --user NAME.');
  }
  const streams = await openStreams(args, options);
  checkCiphertextOutput(args, streams.output);
  return { ...streams, user: args.user ?? (await askUser(settings.users)) };
}

/**
 * The same for `--batch`, where each line may name its user, and nothing is ever asked.
 *
 * @throws KmsPocError
 */
export async function prepareBatch(args: Arguments, options: StreamOptions = {}): Promise<Streams> {
  if (stdin.isTTY && (args.in === undefined || args.in === '-')) {
    throw usageError(
      'A batch is not typed in: standard input is a terminal.',
      'Pipe JSON Lines in, or name a file with --in.',
    );
  }
  return openStreams(args, options);
}

/** @throws KmsPocError Usage, for what a batch has no use for */
export function checkBatchArguments(args: Arguments): void {
  for (const name of ['json', 'binary', 'hide'] as const) {
    if (args[name]) {
      throw usageError(
        `--batch and --${name} exclude each other.`,
        'A batch is JSON Lines, in and out: leave one out.',
      );
    }
  }
}

/** @throws KmsPocError Usage */
export async function openStreams(
  args: Arguments,
  { inPlace = false, inWholeFrames = false }: StreamOptions = {},
): Promise<Streams> {
  const input = await openInput(args.in, args.hide, inWholeFrames);
  const output = await openOutput(args.out, input, inPlace);
  // On a terminal the payload itself shows how far it is; --json is for programs.
  const isSilent = args.quiet || args.json || output.isTerminal;
  return { input: isSilent ? input : withProgress(input, args.batch), output };
}

export const parseList = (setting: Setting | undefined): KeyReference[] =>
  setting === undefined ? [] : parseKeyReferences(setting.value, setting.source);

/** @throws KmsPocError Usage */
export function parseBackupKeys(settings: Settings): KeyReference[] {
  const backupKeys = parseList(settings.backupKeys);
  if (backupKeys.length < maxEncryptedDataKeys) return backupKeys;
  throw usageError(
    `BACKUP_KEYS names ${backupKeys.length} keys, more than the ${maxEncryptedDataKeys - 1} that a message can have beside its first.`,
    'Take some away.',
  );
}

/** A script must never fall back to a local key unseen; in a terminal it is seen. */
function chooseKey(settings: Settings, sources: KeySources, voice: Voice): KeyReference {
  if (settings.keyId !== undefined) {
    const key = parseKeyReference(settings.keyId.value, settings.keyId.source);
    checkRegion(key, settings);
    checkFallback(key, settings);
    return key;
  }
  if (!isInteractive()) throw noKeySet();
  voice.notice(
    `no KEY_ID is set${settings.file === undefined ? ' and there is no .env in this folder' : ''}, so this uses a key on this machine, ${sources.defaultLocalKeyFile}. For AWS KMS, set KEY_ID in .env or use --key.`,
  );
  return { kind: 'local', file: undefined };
}

export const noKeySet = (): KmsPocError =>
  usageError(
    'No key is set.',
    'Set KEY_ID in .env or the environment, or --key; --key local needs no AWS account.',
  );

/** An ARN's Region beats the settings, but asking for another one in the same call contradicts. */
export function checkRegion(key: KeyReference, { region }: Settings): void {
  const arnRegion = key.kind === 'aws' ? key.arnRegion : undefined;
  if (region?.source !== '--region' || arnRegion === undefined || region.value === arnRegion)
    return;
  throw usageError(
    `--region says ${region.value}, and the key's ARN ${arnRegion}.`,
    'Leave out --region: an ARN names its own.',
  );
}

/** Elsewhere an alias may mean another key, and a key of one Region is nowhere else. */
export function checkFallback(key: KeyReference, { fallbackRegions, endpoint }: Settings): void {
  if (fallbackRegions.length === 0 || key.kind !== 'aws') return;
  if (!isMultiRegionKey(key.keyId)) {
    throw usageError(
      `FALLBACK_REGIONS needs a multi-Region key, by its id or ARN with mrk-, and the key is ${key.keyId}.`,
      'Name the multi-Region key itself, or go without for this run: FALLBACK_REGIONS=, in front of the command.',
    );
  }
  // Calls for every Region go there: the Region that it is in would be asked for all of them.
  if (endpoint !== undefined && isAwsKmsHost(new URL(endpoint.value).hostname)) {
    throw usageError(
      `${endpoint.source} is an endpoint of one Region, so no other one of FALLBACK_REGIONS could be reached.`,
      'Take one of the two settings away.',
    );
  }
}
