/**
 * Settings: from the command line, else the environment, else the settings file. Each one knows
 * where it was found. Those that can be invalid are parsed when they are asked for, and throw then.
 */
import { usageError } from '../errors.ts';
import type { AwsService } from '../events.ts';
import type { Arguments } from './arguments.ts';
import { type Setting, type SettingName, settingNames, type SettingsFile } from './setting.ts';
import {
  checkEndpoint,
  parseFileName,
  parseRegions,
  parseSwitch,
  parseUsers,
} from './setting-values.ts';
import { readSettingsFile, type ReadOptions } from './settings-file.ts';
import type { Notices } from './terminal/notices.ts';

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
  readonly region: Setting | undefined;
  readonly profile: Setting | undefined;
  /** The file with the passphrase of RSA keys. */
  readonly passphraseFile: () => string | undefined;
  /** The Regions of a multi-Region key's replicas, in order. */
  readonly fallbackRegions: () => readonly string[];
  /** `*` for any well-formed name. */
  readonly users: () => readonly string[] | '*';
  /** An endpoint that the environment or the settings file sets. */
  readonly endpoint: (service: AwsService) => Setting | undefined;
  /** Whether new messages are signed. */
  readonly sign: () => boolean;
  /** Whether unsigned Encryption SDK messages are refused. */
  readonly requireSigned: () => boolean;
  /** Undefined: the AWS SDK's own chain decides. */
  readonly keyPair: (role: Role) => KeyPair | undefined;
  /**
   * A setting as it was given, in the environment or in the file. Of several names the first that is
   * set, but each in the environment before any in the file.
   */
  readonly find: (...names: SettingName[]) => Setting | undefined;
}

const endpointNames = {
  kms: 'AWS_ENDPOINT_URL_KMS',
  sts: 'AWS_ENDPOINT_URL_STS',
  cloudformation: 'AWS_ENDPOINT_URL_CLOUDFORMATION',
  secretsmanager: 'AWS_ENDPOINT_URL_SECRETS_MANAGER',
} as const satisfies Record<AwsService, SettingName>;

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws KmsPocError Usage, for a settings file that can't be read */
export const loadSettings = async (
  args: Arguments,
  environment: Environment,
  options?: ReadOptions,
): Promise<Settings> =>
  settingsOf(args, environment, await readSettingsFile(args.envFile, options));

/** A file is named for what is in it: nobody expects that the environment says otherwise. */
export function tellOverrides(
  { file }: Settings,
  environment: Environment,
  { notice }: Notices,
): void {
  if (file === undefined || file.isImplicit) return;
  const names = overridden(file.values, environment);
  if (names.length > 0) notice(`the environment overrides ${names.join(', ')} in ${file.path}.`);
}

/** @returns the settings that the environment sets to something else than a file does */
export const overridden = (
  values: Readonly<Record<string, string | undefined>>,
  environment: Environment,
): SettingName[] =>
  settingNames.filter((name) => {
    const [ours, inFile] = [environment[name], values[name]];
    return ours && inFile && ours !== inFile;
  });

export function settingsOf(
  args: Arguments,
  environment: Environment,
  file: SettingsFile | undefined,
): Settings {
  const find: Settings['find'] = (...names) => {
    // An empty variable counts as not set, as for every AWS tool.
    for (const name of names) {
      const value = environment[name];
      if (value) return { name, value, origin: 'environment' };
    }
    for (const name of names) {
      const value = file?.values[name];
      if (file && value) return { name, value, origin: { file } };
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
    region:
      option('AWS_REGION', '--region', args.region) ??
      find('AWS_REGION') ??
      // The AWS CLI and boto3 read this name too; the SDK for JavaScript does not.
      (defaultRegion
        ? { name: 'AWS_DEFAULT_REGION', value: defaultRegion, origin: 'environment' }
        : undefined),
    profile: profile ?? find('AWS_PROFILE'),
    passphraseFile: () => parseFileName(find('RSA_PASSPHRASE_FILE')),
    fallbackRegions: () => parseRegions(find('FALLBACK_REGIONS')),
    users: () => parseUsers(find('USERS')),
    sign: () => args.sign || parseSwitch(find('SIGN')),
    requireSigned: () => args.requireSigned || parseSwitch(find('REQUIRE_SIGNED')),
    endpoint: (service) =>
      environment.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS === 'true'
        ? undefined
        : checkEndpoint(find(endpointNames[service], 'AWS_ENDPOINT_URL'), service),
    keyPair: (role) => (profile === undefined ? findKeyPair(role, find) : undefined),
    find,
  };
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
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-prefixes
    if (accessKeyId.startsWith('ASIA')) {
      throw usageError(
        `${idName} is a temporary key (ASIA…), which needs a session token, and a pair has none.`,
        'Use an access key of an IAM user (AKIA…), or leave the pair unset and use temporary credentials by a profile or the environment.',
      );
    }
    return { accessKeyId, secretAccessKey };
  }
  if (accessKeyId === undefined && secretAccessKey === undefined) return undefined;
  const missing = accessKeyId === undefined ? idName : secretName;
  throw usageError(
    `${missing} is not set, but the other half of the pair is.`,
    `Set ${idName} and ${secretName} together, or neither.`,
  );
}
