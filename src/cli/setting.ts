/** One setting: its value, and where it was found. */
import type { Stats } from 'node:fs';

/** The names that are read, from the environment and from the settings file. No others are. */
export const settingNames = [
  'KEY_ID',
  'BACKUP_KEYS',
  'DECRYPT_KEYS',
  'FALLBACK_REGIONS',
  'RSA_PASSPHRASE_FILE',
  'SIGN',
  'REQUIRE_SIGNED',
  'USERS',
  'ENCRYPTOR_AWS_ACCESS_KEY_ID',
  'ENCRYPTOR_AWS_SECRET_ACCESS_KEY',
  'DECRYPTOR_AWS_ACCESS_KEY_ID',
  'DECRYPTOR_AWS_SECRET_ACCESS_KEY',
  'AWS_REGION',
  'AWS_PROFILE',
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_KMS',
  'AWS_ENDPOINT_URL_STS',
  'AWS_ENDPOINT_URL_CLOUDFORMATION',
  'AWS_ENDPOINT_URL_SECRETS_MANAGER',
  'BAO_ADDR',
  'VAULT_ADDR',
  'BAO_TOKEN',
  'VAULT_TOKEN',
  'BAO_NAMESPACE',
  'VAULT_NAMESPACE',
  'BAO_CACERT',
  'VAULT_CACERT',
] as const;

export type SettingName = (typeof settingNames)[number];

export interface SettingsFile {
  readonly path: string;
  readonly values: Readonly<Record<string, string>>;
  /** Whether nobody named it: it was in the current folder. */
  readonly isImplicit: boolean;
  readonly stat: Stats;
}

/** Where a setting was found. */
type Origin = 'environment' | { readonly option: string } | { readonly file: SettingsFile };

export interface Setting {
  readonly name: SettingName | 'AWS_DEFAULT_REGION';
  readonly value: string;
  readonly origin: Origin;
}

/** Whether an option on the command line said so, in this very call. */
export const isFromOption = (setting: Setting | undefined): boolean =>
  typeof setting?.origin === 'object' && 'option' in setting.origin;

/** Whether it comes from an `.env` that nobody named. */
export const isFromImplicitFile = (setting: Setting | undefined): boolean =>
  typeof setting?.origin === 'object' && 'file' in setting.origin && setting.origin.file.isImplicit;

/** @returns what to call a setting in an error: `--key`, `KEY_ID` or `KEY_ID in .env` */
export function titleOf({ name, origin }: Setting): string {
  if (origin === 'environment') return name;
  return 'option' in origin ? origin.option : `${name} in ${origin.file.path}`;
}
