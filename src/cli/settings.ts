/**
 * Settings: what the command line says, else the environment, else the settings file (`.env`).
 * The file is parsed, never run, and only the names below are taken from it.
 */
import { statSync } from 'node:fs';
import { isIPv4 } from 'node:net';

import { parse } from 'dotenv';

import { KmsPocError, systemCode, usageError } from '../errors.ts';
import { isUserName, userNameRule } from '../formats/user-name.ts';
import { readSmallFileSync } from '../streams/small-file.ts';
import type { Arguments } from './arguments.ts';

/** The names that are read, from the environment and from the settings file. No others are. */
export type SettingName =
  | 'KEY_ID'
  | 'BACKUP_KEYS'
  | 'DECRYPT_KEYS'
  | 'FALLBACK_REGIONS'
  | 'RSA_PASSPHRASE_FILE'
  | 'USERS'
  | 'ENCRYPTOR_AWS_ACCESS_KEY_ID'
  | 'ENCRYPTOR_AWS_SECRET_ACCESS_KEY'
  | 'DECRYPTOR_AWS_ACCESS_KEY_ID'
  | 'DECRYPTOR_AWS_SECRET_ACCESS_KEY'
  | 'AWS_REGION'
  | 'AWS_PROFILE'
  | 'AWS_ENDPOINT_URL'
  | 'AWS_ENDPOINT_URL_KMS'
  | 'AWS_ENDPOINT_URL_STS';

/** A value and where it was found, in words for notices and errors. */
export interface Setting {
  readonly value: string;
  readonly source: string;
}

export interface KeyPair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export type Role = 'ENCRYPTOR' | 'DECRYPTOR';

export interface Settings {
  readonly keyId: Setting | undefined;
  /** Where messages are moved to: by default the key for new ones, whatever --key says. */
  readonly toKey: Setting | undefined;
  /** Further keys that may open each new message. */
  readonly backupKeys: Setting | undefined;
  /** Further keys that may open messages, never used to encrypt. */
  readonly decryptKeys: Setting | undefined;
  /** Regions of a multi-Region key's replicas, in order. */
  readonly fallbackRegions: readonly string[];
  readonly rsaPassphraseFile: Setting | undefined;
  /** `*`: any well-formed name. */
  readonly users: readonly string[] | '*';
  readonly region: Setting | undefined;
  readonly profile: Setting | undefined;
  /** The KMS endpoint, where the environment or the settings file sets one. */
  readonly endpoint: Setting | undefined;
  /**
   * The same of STS, which only kms-doctor asks.
   *
   * @throws KmsPocError Usage, for one that may not be used
   */
  readonly stsEndpoint: () => Setting | undefined;
  /**
   * The pair of a role. Undefined: the AWS SDK's own chain decides.
   *
   * @throws KmsPocError Usage, for half a pair: a mistake that is none of a command in another role
   */
  readonly keyPair: (role: Role) => KeyPair | undefined;
  /** One as it was given, in the environment or in the file. */
  readonly find: (name: SettingName) => Setting | undefined;
  /** The settings file that was read, and what to tell the user about it. */
  readonly file: { readonly path: string; readonly othersCanRead: boolean } | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param onProblem told what is wrong with a setting, which then counts as not set; not given: it is
 *   thrown
 * @throws KmsPocError Usage
 */
export function loadSettings(
  args: Arguments,
  environment: Environment,
  onProblem: (name: SettingName, problem: KmsPocError) => void = (_name, problem) => {
    throw problem;
  },
): Settings {
  const file = readSettingsFile(args.envFile);
  /** Of several names the first that is set, but each in the environment before any in the file. */
  const find = (...names: SettingName[]): Setting | undefined => {
    // An empty variable counts as not set, as for every AWS tool.
    for (const name of names) {
      const value = environment[name];
      if (value) return { value, source: name };
    }
    for (const name of names) {
      const value = file?.values[name];
      if (value) return { value, source: `${name} in ${file.path}` };
    }
    return undefined;
  };
  const option = (source: string, value: string | undefined): Setting | undefined =>
    value === undefined ? undefined : { value, source };

  const unlessWrong = <Value>(name: SettingName, read: () => Value, otherwise: Value): Value => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof KmsPocError)) throw error;
      onProblem(name, error);
      return otherwise;
    }
  };

  const profile = option('--profile', args.profile);
  const defaultRegion = environment.AWS_DEFAULT_REGION;
  return {
    keyId: option('--key', args.key) ?? find('KEY_ID'),
    toKey: option('--to-key', args.toKey) ?? find('KEY_ID'),
    backupKeys: find('BACKUP_KEYS'),
    decryptKeys: find('DECRYPT_KEYS'),
    fallbackRegions: unlessWrong(
      'FALLBACK_REGIONS',
      () => parseRegions(find('FALLBACK_REGIONS')),
      [],
    ),
    rsaPassphraseFile: find('RSA_PASSPHRASE_FILE'),
    users: unlessWrong('USERS', () => parseUsers(find('USERS')), []),
    region:
      option('--region', args.region) ??
      find('AWS_REGION') ??
      // The AWS CLI and boto3 read this name too; the SDK for JavaScript does not.
      (defaultRegion ? { value: defaultRegion, source: 'AWS_DEFAULT_REGION' } : undefined),
    profile: profile ?? find('AWS_PROFILE'),
    endpoint: unlessWrong(
      'AWS_ENDPOINT_URL_KMS',
      () => checkEndpoint(find('AWS_ENDPOINT_URL_KMS', 'AWS_ENDPOINT_URL'), environment),
      undefined,
    ),
    stsEndpoint: () => checkEndpoint(find('AWS_ENDPOINT_URL_STS', 'AWS_ENDPOINT_URL'), environment),
    keyPair: (role) => (profile === undefined ? findKeyPair(role, find) : undefined),
    find,
    file: file && { path: file.path, othersCanRead: file.othersCanRead },
  };
}

interface SettingsFile {
  readonly path: string;
  readonly values: Readonly<Record<string, string>>;
  readonly othersCanRead: boolean;
}

function readSettingsFile(given: string | undefined): SettingsFile | undefined {
  const path = given ?? '.env';
  try {
    const values = parse(readSmallFileSync(path));
    return { path, values, othersCanRead: (statSync(path).mode & 0o077) !== 0 };
  } catch (cause) {
    const code = systemCode(cause);
    if (given === undefined && code === 'ENOENT') return undefined;
    throw usageError(
      `The settings file ${path} can't be read (${code}).`,
      given === undefined
        ? 'Make it readable, or move it away.'
        : 'Check the path after --env-file.',
      { cause },
    );
  }
}

function parseUsers(setting: Setting | undefined): readonly string[] | '*' {
  if (setting === undefined) return ['alice', 'bob'];
  const names = splitList(setting.value);
  if (names.includes('*')) return '*';
  if (names.length === 0 || !names.every(isUserName)) {
    throw usageError(
      `${setting.source} is not a comma-separated list of names.`,
      `${userNameRule}.`,
    );
  }
  return [...new Set(names)];
}

function parseRegions(setting: Setting | undefined): readonly string[] {
  const regions = splitList(setting?.value ?? '');
  if (setting !== undefined && !regions.every(isRegion)) {
    throw usageError(
      `${setting.source} is not a comma-separated list of AWS Regions.`,
      'It should look like eu-west-1,eu-north-1.',
    );
  }
  return [...new Set(regions)];
}

/** Whether a Region may have this name. Which there are, nobody keeps up with. */
export const isRegion = (name: string): boolean => /^[a-z]{2,}(?:-[a-z0-9]+)+$/.test(name);

const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');

/**
 * @returns the user, when that name may be given
 * @throws KmsPocError Usage
 */
export function checkUser(user: string, users: readonly string[] | '*'): string {
  if (!isUserName(user)) throw usageError('That is not a user name.', `${userNameRule}.`);
  if (users !== '*' && !users.includes(user)) {
    throw usageError(
      `${user} is not one of the users: ${users.join(', ')}.`,
      'Names are case-sensitive. Who may be named is set in USERS (* allows any name).',
    );
  }
  return user;
}

/**
 * Half a pair is a mistake that must not silently become the default chain's identity. There is no
 * session token in a pair: one from the environment belongs to other credentials.
 */
function findKeyPair(
  role: Role,
  find: (name: SettingName) => Setting | undefined,
): KeyPair | undefined {
  const idName = `${role}_AWS_ACCESS_KEY_ID` as const;
  const secretName = `${role}_AWS_SECRET_ACCESS_KEY` as const;
  const accessKeyId = find(idName)?.value;
  const secretAccessKey = find(secretName)?.value;
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    return { accessKeyId, secretAccessKey };
  }
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  const missing = accessKeyId === undefined ? idName : secretName;
  throw usageError(
    `${missing} is not set, but the other half of the pair is.`,
    `Set ${idName} and ${secretName} together, or neither.`,
  );
}

/**
 * An `.env` in a strange folder must not send plaintext elsewhere in the clear: from the file, an
 * endpoint must be https or on this machine.
 */
function checkEndpoint(
  setting: Setting | undefined,
  environment: Environment,
): Setting | undefined {
  if (setting === undefined || environment.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS === 'true') {
    return undefined;
  }
  const url = URL.canParse(setting.value) ? new URL(setting.value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw usageError(
      `${setting.source} is not an http or https address.`,
      'It should look like https://kms.eu-central-1.amazonaws.com.',
    );
  }
  const fromFile = environment[setting.source] === undefined;
  if (fromFile && url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw usageError(
      `${setting.source} would send messages to ${url.host} without encryption.`,
      'From a settings file, an endpoint must be https or on this machine.',
    );
  }
  return setting;
}

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' ||
  hostname === '[::1]' ||
  (isIPv4(hostname) && hostname.startsWith('127.'));
