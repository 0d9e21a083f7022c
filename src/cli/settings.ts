/**
 * Settings: from the command line, else the environment, else the settings file. Each one knows
 * where it was found. Those that can be invalid are parsed when they are asked for, and throw then.
 */
import { isIPv4 } from 'node:net';

import { usageError } from '../errors.ts';
import { isUserName, userNameRule } from '../formats/user-name.ts';
import type { Arguments } from './arguments.ts';
import { readSettingsFile, type SettingsFile } from './settings-file.ts';

/** The names that are read from the environment and from the settings file. No others are. */
type SettingName =
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

/** Where a setting was found. */
type Origin = 'environment' | { readonly option: string } | { readonly file: string };

export interface Setting {
  readonly name: SettingName | 'AWS_DEFAULT_REGION';
  readonly value: string;
  readonly origin: Origin;
}

/** Whether it was set by an option on the command line of this very run. */
export const isFromOption = (setting: Setting | undefined): boolean =>
  typeof setting?.origin === 'object' && 'option' in setting.origin;

/** @returns what to call a setting in an error: `--key`, `KEY_ID` or `KEY_ID in .env` */
export function titleOf({ name, origin }: Setting): string {
  if (origin === 'environment') return name;
  return 'option' in origin ? origin.option : `${name} in ${origin.file}`;
}

interface KeyPair {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export type Role = 'ENCRYPTOR' | 'DECRYPTOR';

/** Each function throws KmsPocError Usage if its setting is wrong. */
export interface Settings {
  readonly file: SettingsFile | undefined;
  readonly keyId: Setting | undefined;
  /** The key to move messages to: by default the key for new messages, whatever --key says. */
  readonly toKey: Setting | undefined;
  /** More keys that can open each new message. */
  readonly backupKeys: Setting | undefined;
  /** More keys that may open messages, but are never used to encrypt. */
  readonly decryptKeys: Setting | undefined;
  readonly rsaPassphraseFile: Setting | undefined;
  readonly region: Setting | undefined;
  readonly profile: Setting | undefined;
  /** The Regions of a multi-Region key's replicas, in order. */
  readonly fallbackRegions: () => readonly string[];
  /** `*` for any well-formed name. */
  readonly users: () => readonly string[] | '*';
  /** An endpoint that the environment or the settings file sets. */
  readonly endpoint: (service: 'kms' | 'sts') => Setting | undefined;
  /** Undefined: the AWS SDK's own chain decides. */
  readonly keyPair: (role: Role) => KeyPair | undefined;
  /** A setting as it was given, in the environment or in the file. */
  readonly find: (name: SettingName) => Setting | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws KmsPocError Usage, for a settings file that can't be read */
export function loadSettings(args: Arguments, environment: Environment): Settings {
  const file = readSettingsFile(args.envFile);
  /**
   * Of several names, returns the first that is set, but any in the environment before any in the
   * file.
   */
  const find = (...names: SettingName[]): Setting | undefined => {
    // An empty variable counts as not set, as for every AWS tool.
    for (const name of names) {
      const value = environment[name];
      if (value) return { name, value, origin: 'environment' };
    }
    for (const name of names) {
      const value = file?.values[name];
      if (file && value) return { name, value, origin: { file: file.path } };
    }
    return undefined;
  };
  const option = (name: SettingName, option: string, value: string | undefined) =>
    value === undefined ? undefined : { name, value, origin: { option } };

  const profile = option('AWS_PROFILE', '--profile', args.profile);
  const { AWS_DEFAULT_REGION: defaultRegion } = environment;
  return {
    file,
    keyId: option('KEY_ID', '--key', args.key) ?? find('KEY_ID'),
    toKey: option('KEY_ID', '--to-key', args.toKey) ?? find('KEY_ID'),
    backupKeys: find('BACKUP_KEYS'),
    decryptKeys: find('DECRYPT_KEYS'),
    rsaPassphraseFile: find('RSA_PASSPHRASE_FILE'),
    region:
      option('AWS_REGION', '--region', args.region) ??
      find('AWS_REGION') ??
      // The AWS CLI and boto3 read this name too; the SDK for JavaScript does not.
      (defaultRegion
        ? { name: 'AWS_DEFAULT_REGION', value: defaultRegion, origin: 'environment' }
        : undefined),
    profile: profile ?? find('AWS_PROFILE'),
    fallbackRegions: () => parseRegions(find('FALLBACK_REGIONS')),
    users: () => parseUsers(find('USERS')),
    endpoint: (service) =>
      environment.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS === 'true'
        ? undefined
        : checkEndpoint(
            find(
              service === 'kms' ? 'AWS_ENDPOINT_URL_KMS' : 'AWS_ENDPOINT_URL_STS',
              'AWS_ENDPOINT_URL',
            ),
          ),
    keyPair: (role) => (profile === undefined ? findKeyPair(role, find) : undefined),
    find,
  };
}

function parseUsers(setting: Setting | undefined): readonly string[] | '*' {
  if (setting === undefined) return ['alice', 'bob'];
  const names = splitList(setting.value);
  if (names.includes('*')) return '*';
  if (names.length === 0 || !names.every(isUserName)) {
    throw usageError(
      `${titleOf(setting)} is not a comma-separated list of names.`,
      `${userNameRule}.`,
    );
  }
  return [...new Set(names)];
}

function parseRegions(setting: Setting | undefined): readonly string[] {
  const regions = splitList(setting?.value ?? '');
  if (setting !== undefined && !regions.every(isRegion)) {
    throw usageError(
      `${titleOf(setting)} is not a comma-separated list of AWS Regions.`,
      'It should look like eu-west-1,eu-north-1.',
    );
  }
  return [...new Set(regions)];
}

/** Whether a Region could have this name. Nobody keeps a list of those that exist. */
export const isRegion = (name: string): boolean => /^[a-z]{2,}(?:-[a-z0-9]+)+$/.test(name);

const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');

/**
 * @returns the user, if that name is allowed
 * @throws KmsPocError Usage
 */
export function checkUser(user: string, users: readonly string[] | '*'): string {
  if (!isUserName(user)) throw usageError('Not a valid user name.', `${userNameRule}.`);
  if (users !== '*' && !users.includes(user)) {
    throw usageError(
      `${user} is not one of the users: ${users.join(', ')}.`,
      'Names are case-sensitive. USERS lists the allowed names (* allows any).',
    );
  }
  return user;
}

/**
 * Half a pair is a mistake, and must not silently become the default chain's identity. A pair has
 * no session token: one in the environment belongs to other credentials.
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
 * An `.env` in an unfamiliar folder must not send plaintext elsewhere unencrypted: an endpoint from
 * the file must be https or on this machine.
 */
function checkEndpoint(setting: Setting | undefined): Setting | undefined {
  if (setting === undefined) return undefined;
  const url = URL.canParse(setting.value) ? new URL(setting.value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw usageError(
      `${titleOf(setting)} is not an http or https URL.`,
      'It should look like https://kms.eu-central-1.amazonaws.com.',
    );
  }
  if (setting.origin !== 'environment' && url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw usageError(
      `${titleOf(setting)} would send messages to ${url.host} without encryption.`,
      'An endpoint in a settings file must use https or be on this machine.',
    );
  }
  return setting;
}

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' ||
  hostname === '[::1]' ||
  (isIPv4(hostname) && hostname.startsWith('127.'));
