/**
 * What both commands do first: settings, who the message is for, where it comes from and goes to,
 * and which key is meant. All that can be wrong is found here, before a message is asked for.
 */
import { env, stdin } from 'node:process';

import { usageError } from '../errors.ts';
import { isMultiRegionKey } from '../formats/kms-arn.ts';
import { type KeyReference, parseKeyReference, parseKeyReferences } from '../keys/key-reference.ts';
import type { KeySources } from '../keys/key-sources.ts';
import type { Arguments } from './arguments.ts';
import { type Input, openInput } from './input.ts';
import { createKeySources } from './key-sources.ts';
import { openOutput, type Output } from './output.ts';
import { withProgress } from './progress.ts';
import { checkUser, loadSettings, type Role, type Setting, type Settings } from './settings.ts';
import { askUser, isInteractive, type Voice } from './terminal.ts';

export interface Prepared {
  readonly user: string;
  readonly key: KeyReference;
  /** Further keys for each new message, which may open it too. */
  readonly backupKeys: readonly KeyReference[];
  /** Further keys to decrypt with. */
  readonly oldKeys: readonly KeyReference[];
  readonly sources: KeySources;
  readonly input: Input;
  readonly output: Output;
}

/** @throws KmsPocError */
export async function prepare(args: Arguments, role: Role, voice: Voice): Promise<Prepared> {
  const { settings, ...keys } = prepareKeys(args, role, voice);
  if (args.user === undefined && !isInteractive()) {
    throw usageError('No user is named.', 'Name one: --user NAME.');
  }
  const streams = await openStreams(args);
  return { ...keys, ...streams, user: args.user ?? (await askUser(settings.users)) };
}

export interface PreparedBatch extends Omit<Prepared, 'user'> {
  /** @throws KmsPocError Usage, for a user whom the settings don't allow */
  readonly checkUser: (user: string) => void;
}

/**
 * The same for `--batch`, where each line may name its user, and nothing is ever asked.
 *
 * @throws KmsPocError
 */
export async function prepareBatch(
  args: Arguments,
  role: Role,
  voice: Voice,
): Promise<PreparedBatch> {
  for (const name of ['json', 'binary', 'hide'] as const) {
    if (args[name]) {
      throw usageError(
        `--batch and --${name} exclude each other.`,
        'A batch is JSON Lines, in and out: leave one out.',
      );
    }
  }
  const { settings, ...keys } = prepareKeys(args, role, voice);
  if (stdin.isTTY && (args.in === undefined || args.in === '-')) {
    throw usageError(
      'A batch is not typed in: standard input is a terminal.',
      'Pipe JSON Lines in, or name a file with --in.',
    );
  }
  const streams = await openStreams(args);
  return { ...keys, ...streams, checkUser: (user) => checkUser(user, settings.users) };
}

function prepareKeys(
  args: Arguments,
  role: Role,
  voice: Voice,
): Pick<Prepared, 'key' | 'backupKeys' | 'oldKeys' | 'sources'> & { readonly settings: Settings } {
  const settings = loadSettings(args, env, role);
  if (settings.file?.othersCanRead === true) {
    voice.notice(`others can read ${settings.file.path}: chmod 600 it.`);
  }
  const sources = createKeySources(settings, voice);
  const key = chooseKey(settings, sources, voice);
  const backupKeys = parseList(settings.backupKeys);
  const oldKeys = parseList(settings.decryptKeys);
  if (args.user !== undefined) checkUser(args.user, settings.users);
  return { settings, key, backupKeys, oldKeys, sources };
}

async function openStreams(args: Arguments): Promise<Pick<Prepared, 'input' | 'output'>> {
  const input = await openInput(args.in, args.hide);
  const output = await openOutput(args.out, input);
  // On a terminal the payload itself shows how far it is; --json is for programs.
  const isSilent = args.quiet || args.json || output.isTerminal;
  return { input: isSilent ? input : withProgress(input, args.batch), output };
}

const parseList = (setting: Setting | undefined): KeyReference[] =>
  setting === undefined ? [] : parseKeyReferences(setting.value, setting.source);

/** A script must never fall back to a local key unseen; in a terminal it is seen. */
function chooseKey(settings: Settings, sources: KeySources, voice: Voice): KeyReference {
  if (settings.keyId !== undefined) {
    const key = parseKeyReference(settings.keyId.value, settings.keyId.source);
    checkRegion(key, settings);
    checkFallback(key, settings);
    return key;
  }
  if (!isInteractive()) {
    throw usageError(
      'No key is set.',
      'Set KEY_ID in .env or the environment, or --key; --key local needs no AWS account.',
    );
  }
  voice.notice(
    `no KEY_ID is set, so this uses a key on this machine, ${sources.defaultLocalKeyFile}. For AWS KMS, set KEY_ID in .env or use --key.`,
  );
  return { kind: 'local', file: undefined };
}

/** An ARN's Region beats the settings, but asking for another one in the same call contradicts. */
function checkRegion(key: KeyReference, { region }: Settings): void {
  const arnRegion = key.kind === 'aws' ? key.arnRegion : undefined;
  if (region?.source !== '--region' || arnRegion === undefined || region.value === arnRegion)
    return;
  throw usageError(
    `--region says ${region.value}, and the key's ARN ${arnRegion}.`,
    'Leave out --region: an ARN names its own.',
  );
}

/** Elsewhere an alias may mean another key, and a key of one Region is nowhere else. */
function checkFallback(key: KeyReference, { fallbackRegions }: Settings): void {
  if (fallbackRegions.length === 0 || key.kind !== 'aws' || isMultiRegionKey(key.keyId)) return;
  throw usageError(
    `FALLBACK_REGIONS needs a multi-Region key, by its id or ARN with mrk-, and the key is ${key.keyId}.`,
    'Name the multi-Region key itself, or take FALLBACK_REGIONS away.',
  );
}
