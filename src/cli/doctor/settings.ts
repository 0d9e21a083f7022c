/**
 * The settings as kms-doctor sees them: each one that is set, where it came from, and the defaults
 * of the others. A problem with one becomes a row, and the others are still checked.
 */
import { advice, type Finding, ok } from '../../doctor/check.ts';
import type { NamedKey } from '../../doctor/subject.ts';
import { KmsPocError, usageError } from '../../errors.ts';
import { isRegion } from '../../formats/kms-arn.ts';
import { type KeyReference, keyReferenceText } from '../../keys/key-reference.ts';
import type { Arguments } from '../arguments.ts';
import {
  checkFallback,
  defaultKey,
  noKeySet,
  parseBackupKeys,
  parseKey,
  parseList,
} from '../keys.ts';
import { isFromOption, type Setting, titleOf } from '../setting.ts';
import { checkUser } from '../setting-values.ts';
import type { Role, Settings } from '../settings.ts';
import { unreadRows } from './unread-names.ts';
import { vaultRows } from './vault-settings.ts';

export interface ReadSettings {
  readonly rows: readonly Row[];
  readonly user: string | undefined;
  readonly key: NamedKey | undefined;
  readonly backupKeys: readonly NamedKey[];
  readonly oldKeys: readonly NamedKey[];
  readonly fallbackRegions: readonly string[];
  readonly passphraseFile: string | undefined;
  readonly sign: boolean;
}

/** A name, and what there is to say about it. If that throws, the setting is wrong. */
type Row = readonly [name: string, finding: () => Finding];

/**
 * @param mayUseDefaultKey whether a command would use the local key when no key is set
 * @throws KmsPocError Usage, if the user's name is not allowed, or none is given where one is
 *   needed
 */
export function readDoctorSettings(
  args: Arguments,
  settings: Settings,
  mayUseDefaultKey: boolean,
): ReadSettings {
  const { keyId } = settings;
  const readKey = (): KeyReference => {
    const key = parseKey(settings);
    if (key !== undefined) return key;
    if (!mayUseDefaultKey) throw noKeySet(settings);
    return defaultKey();
  };
  const readBackupKeys = (): KeyReference[] => parseBackupKeys(settings);
  const readOldKeys = (): KeyReference[] => parseList(settings.decryptKeys);
  const key = unlessWrong(readKey);
  const backupKeys = unlessWrong(readBackupKeys) ?? [];
  const oldKeys = unlessWrong(readOldKeys) ?? [];
  const readFallbackRegions = (): readonly string[] => {
    const regions = settings.fallbackRegions();
    if (key !== undefined) checkFallback(key, settings);
    return regions;
  };

  const uses = (kind: KeyReference['kind']): boolean =>
    [key, ...backupKeys, ...oldKeys].some((each) => each?.kind === kind);
  const rows: Row[] = [
    ['settings file', () => ok(settings.file?.path ?? 'none (no .env in this folder)')],
    ...unreadRows(settings.file),
    [
      'KEY_ID',
      () => {
        const text = keyReferenceText(readKey());
        return ok(
          keyId === undefined
            ? 'not set: in a terminal, a local key is used'
            : `${text}, from ${whereFrom(keyId)}`,
        );
      },
    ],
    [
      'BACKUP_KEYS',
      () =>
        settings.backupKeys === undefined
          ? advice(
              'not set: only one key opens a new message',
              'A backup key opens your messages if that key is lost: see docs/recovery.md.',
            )
          : ok(`${list(readBackupKeys())}, from ${whereFrom(settings.backupKeys)}`),
    ],
    ...row(settings.decryptKeys, () => list(readOldKeys())),
    ...row(settings.find('FALLBACK_REGIONS'), () => readFallbackRegions().join(', ')),
    [
      'USERS',
      () => {
        const users = settings.users();
        const setting = settings.find('USERS');
        if (setting === undefined) return ok('not set: alice and bob');
        return ok(
          `${users === '*' ? '* (any name)' : users.join(', ')}, from ${whereFrom(setting)}`,
        );
      },
    ],
    ...row(settings.find('RSA_PASSPHRASE_FILE'), () => settings.passphraseFile() ?? ''),
    ...row(settings.find('SIGN'), () => (settings.sign() ? 'yes' : 'no')),
    ...requireSignedRow(settings, [
      ...[key, ...oldKeys],
      ...backupKeys.filter(({ kind }) => kind === 'local'),
    ]),
    ...awsRows(settings, uses('aws')),
    ...(uses('vault') ? vaultRows(settings) : []),
  ];
  const keyName =
    keyId === undefined ? 'local key' : isFromOption(keyId) ? titleOf(keyId) : 'KEY_ID';
  return {
    rows,
    user: chooseUser(args, settings),
    key: key && { name: keyName, reference: key },
    backupKeys: named('backup key', backupKeys),
    oldKeys: named('old key', oldKeys),
    fallbackRegions: unlessWrong(readFallbackRegions) ?? [],
    passphraseFile: unlessWrong(settings.passphraseFile),
    sign: unlessWrong(settings.sign) ?? false,
  };
}

/** A row for a setting, if it is set. */
const row = (setting: Setting | undefined, textOf: (setting: Setting) => string): Row[] =>
  setting === undefined
    ? []
    : [[setting.name, () => ok(`${textOf(setting)}, from ${whereFrom(setting)}`)]];

/** @param keys that open messages: a public RSA key among the backup keys opens none */
function requireSignedRow(settings: Settings, keys: readonly (KeyReference | undefined)[]): Row[] {
  const setting = settings.find('REQUIRE_SIGNED');
  if (setting === undefined) return [];
  const finding = (): Finding => {
    const text = `${settings.requireSigned() ? 'yes' : 'no'}, from ${whereFrom(setting)}`;
    if (!settings.requireSigned()) return ok(text);
    if (!settings.sign()) {
      return advice(
        `${text}, but SIGN is not set`,
        'Set SIGN=yes too, unless nothing is encrypted or re-encrypted with these settings.',
      );
    }
    const other = keys.find((key) => key?.kind === 'local' || key?.kind === 'rsa');
    return other === undefined
      ? ok(text)
      : advice(
          `${text}, but ${keyReferenceText(other)} is no key of KMS`,
          'A signature proves nothing about a message that such a key opens: see docs/threat-model.md.',
        );
  };
  return [[setting.name, finding]];
}

function awsRows(settings: Settings, usesAws: boolean): Row[] {
  const roles = (['ENCRYPTOR', 'DECRYPTOR'] as const).filter(
    (role) => usesAws || pairNames(role).some((name) => settings.find(name) !== undefined),
  );
  return [
    ...row(settings.region, (setting) => {
      if (isRegion(setting.value)) return setting.value;
      throw usageError(
        `${titleOf(setting)} is not an AWS Region.`,
        'A Region looks like eu-central-1.',
      );
    }),
    ...row(settings.profile, ({ value }) => value),
    ...endpointRow('kms', settings),
    ...endpointRow('sts', settings),
    ...roles.map((role): Row => [
      `${role.toLowerCase()}'s credentials`,
      () => describePair(role, settings),
    ]),
  ];
}

function chooseUser(args: Arguments, settings: Settings): string | undefined {
  const users = unlessWrong(settings.users);
  if (args.user !== undefined) return checkUser(args.user, users ?? '*');
  if (users !== '*') return users?.[0];
  throw usageError(
    'No user given, and USERS allows any name.',
    'Use --user NAME to say who to test with.',
  );
}

/** Where an endpoint is set. Its URL may contain a password, so only its origin is shown. */
function endpointRow(service: 'kms' | 'sts', settings: Settings): Row[] {
  const finding = (): Finding | undefined => {
    const endpoint = settings.endpoint(service);
    return endpoint && ok(`${new URL(endpoint.value).origin}, set by ${titleOf(endpoint)}`);
  };
  const isSet = unlessWrong(() => finding() !== undefined) ?? true;
  return isSet ? [[`endpoint of ${service.toUpperCase()}`, () => finding() ?? ok('not set')]] : [];
}

const pairNames = (role: Role) =>
  [`${role}_AWS_ACCESS_KEY_ID`, `${role}_AWS_SECRET_ACCESS_KEY`] as const;

function describePair(role: Role, settings: Settings): Finding {
  const [idName] = pairNames(role);
  const pair = settings.keyPair(role);
  const setting = settings.find(idName);
  if (isFromOption(settings.profile)) {
    return ok(
      `from --profile${setting === undefined ? '' : ', which overrides the pair that is set'}`,
    );
  }
  if (pair === undefined || setting === undefined) {
    return ok('not set: the AWS SDK finds them (environment, profile, SSO, role)');
  }
  // If it was pasted into the wrong line, this may be the secret.
  const id = /^[A-Z0-9]{16,32}$/.test(pair.accessKeyId)
    ? pair.accessKeyId
    : "not shown, since it doesn't look like an access key id";
  return ok(`${id}, from ${whereFrom(setting)}`);
}

function whereFrom({ origin }: Setting): string {
  if (origin === 'environment') return 'the environment';
  return 'option' in origin ? origin.option : origin.file.path;
}

const list = (references: readonly KeyReference[]): string =>
  references.map(keyReferenceText).join(', ') || 'an empty list';

const named = (name: string, references: readonly KeyReference[]): NamedKey[] =>
  references.map((reference, index) => ({ name: `${name} ${index + 1}`, reference }));

/** @returns undefined for a setting that is wrong: it counts as not set, and its row says why */
function unlessWrong<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof KmsPocError) return undefined;
    throw error;
  }
}
