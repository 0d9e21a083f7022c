/**
 * The settings as kms-doctor sees them: each that is set, where it came from, and what goes without
 * saying. What is wrong with one is a row, and the others are still looked at.
 */
import { type Check, check, type Finding, ok } from '../../doctor/check.ts';
import type { NamedKey } from '../../doctor/subject.ts';
import { KmsPocError, usageError } from '../../errors.ts';
import {
  type KeyReference,
  keyReferenceText,
  parseKeyReference,
} from '../../keys/key-reference.ts';
import type { Arguments } from '../arguments.ts';
import { checkFallback, checkRegion, noKeySet, parseBackupKeys, parseList } from '../keys.ts';
import {
  checkUser,
  isRegion,
  type Role,
  type Setting,
  type SettingName,
  type Settings,
} from '../settings.ts';

/** What is wrong with a setting. It counts as not set. */
export type Problems = ReadonlyMap<SettingName, KmsPocError>;

export interface ReadSettings {
  readonly checks: readonly Promise<Check>[];
  readonly user: string | undefined;
  readonly key: NamedKey | undefined;
  readonly backupKeys: readonly NamedKey[];
  readonly oldKeys: readonly NamedKey[];
  readonly fallbackRegions: readonly string[];
}

type Attempt<Value> = { readonly value: Value } | { readonly error: KmsPocError };

/**
 * @param mayUseDefaultKey whether a command would use the local key where no key is set
 * @throws KmsPocError Usage, for a user who can't be named, or who must be
 */
export function readDoctorSettings(
  args: Arguments,
  settings: Settings,
  problems: Problems,
  mayUseDefaultKey: boolean,
): ReadSettings {
  const user = chooseUser(args, settings, problems);
  const { keyId } = settings;
  const key = attempt((): KeyReference => {
    if (keyId === undefined) {
      if (!mayUseDefaultKey) throw noKeySet();
      return { kind: 'local', file: undefined };
    }
    const reference = parseKeyReference(keyId.value, keyId.source);
    checkRegion(reference, settings);
    return reference;
  });
  const backupKeys = attempt(() => parseBackupKeys(settings));
  const oldKeys = attempt(() => parseList(settings.decryptKeys));
  const fallbackRegions = attempt(() => {
    const problem = problems.get('FALLBACK_REGIONS');
    if (problem !== undefined) throw problem;
    if ('value' in key) checkFallback(key.value, settings);
    return settings.fallbackRegions;
  });

  const parsed: Parsed = { key, backupKeys, oldKeys, fallbackRegions };
  const rows = [...ownRows(settings, problems, parsed), ...awsRows(settings, problems, parsed)];
  const keyName = keyId === undefined ? 'local key' : keyId.source === '--key' ? '--key' : 'KEY_ID';
  return {
    checks: rows.map(([name, finding]) => check('settings', name, finding)),
    user,
    key: 'value' in key ? { name: keyName, reference: key.value } : undefined,
    backupKeys: named('backup key', backupKeys),
    oldKeys: named('old key', oldKeys),
    fallbackRegions: 'value' in fallbackRegions ? fallbackRegions.value : [],
  };
}

interface Parsed {
  readonly key: Attempt<KeyReference>;
  readonly backupKeys: Attempt<readonly KeyReference[]>;
  readonly oldKeys: Attempt<readonly KeyReference[]>;
  readonly fallbackRegions: Attempt<readonly string[]>;
}

/** A name, and what there is to say; what that throws is wrong. */
type Row = readonly [name: string, finding: () => Finding];

/** @param otherwise what goes without saying; no row without it */
function row(
  name: SettingName,
  setting: Setting | undefined,
  textOf: (setting: Setting) => string,
  otherwise?: string,
): Row[] {
  if (setting !== undefined) {
    return [[name, () => ok(`${textOf(setting)}, from ${whereFrom(setting)}`)]];
  }
  return otherwise === undefined ? [] : [[name, () => ok(`not set: ${otherwise}`)]];
}

function ownRows(
  settings: Settings,
  problems: Problems,
  { key, backupKeys, oldKeys, fallbackRegions }: Parsed,
): Row[] {
  const { keyId, users } = settings;
  return [
    ['settings file', () => ok(settings.file?.path ?? 'none: there is no .env in this folder')],
    [
      'KEY_ID',
      () => {
        const text = keyReferenceText(valueOf(key));
        return ok(
          keyId === undefined
            ? 'not set: in a terminal, a key on this machine is used'
            : `${text}, from ${whereFrom(keyId)}`,
        );
      },
    ],
    ...row(
      'BACKUP_KEYS',
      settings.backupKeys,
      () => list(valueOf(backupKeys)),
      'only one key opens a new message',
    ),
    ...row('DECRYPT_KEYS', settings.decryptKeys, () => list(valueOf(oldKeys))),
    ...row('FALLBACK_REGIONS', settings.find('FALLBACK_REGIONS'), () =>
      valueOf(fallbackRegions).join(', '),
    ),
    ...row(
      'USERS',
      settings.find('USERS'),
      () => {
        const problem = problems.get('USERS');
        if (problem !== undefined) throw problem;
        return users === '*' ? '* (any name)' : users.join(', ');
      },
      'alice and bob',
    ),
    ...row('RSA_PASSPHRASE_FILE', settings.rsaPassphraseFile, ({ value }) => value),
  ];
}

function awsRows(settings: Settings, problems: Problems, parsed: Parsed): Row[] {
  const usesAws = [parsed.key, parsed.backupKeys, parsed.oldKeys]
    .flatMap((each) => ('value' in each ? each.value : []))
    .some(({ kind }) => kind === 'aws');
  const roles = (['ENCRYPTOR', 'DECRYPTOR'] as const).filter(
    (role) => usesAws || pairNames(role).some((name) => settings.find(name) !== undefined),
  );
  return [
    ...row('AWS_REGION', settings.region, ({ value, source }) => {
      if (isRegion(value)) return value;
      throw usageError(`${source} is not an AWS Region.`, 'A Region looks like eu-central-1.');
    }),
    ...row('AWS_PROFILE', settings.profile, ({ value }) => value),
    ...endpointRows(settings, problems),
    ...roles.map((role): Row => [
      `${role.toLowerCase()}'s credentials`,
      () => describePair(role, settings),
    ]),
  ];
}

function chooseUser(args: Arguments, { users }: Settings, problems: Problems): string | undefined {
  if (args.user !== undefined) return checkUser(args.user, problems.has('USERS') ? '*' : users);
  if (users === '*') {
    throw usageError(
      'No user is named, and USERS allows any name.',
      'Name one to try the routes for: --user NAME.',
    );
  }
  return users[0];
}

/** Those that are set. An address can hold a password: only its origin is shown. */
function endpointRows(settings: Settings, problems: Problems): Row[] {
  const problem = problems.get('AWS_ENDPOINT_URL_KMS');
  const endpoints: [string, Attempt<Setting | undefined>][] = [
    ['endpoint of KMS', problem === undefined ? { value: settings.endpoint } : { error: problem }],
    ['endpoint of STS', attempt(settings.stsEndpoint)],
  ];
  return endpoints.flatMap(([name, endpoint]): Row[] => {
    if ('value' in endpoint && endpoint.value === undefined) return [];
    return [
      [
        name,
        () => {
          const { value = '', source = '' } = valueOf(endpoint) ?? {};
          return ok(`${new URL(value).origin}, set by ${source}`);
        },
      ],
    ];
  });
}

const pairNames = (role: Role) =>
  [`${role}_AWS_ACCESS_KEY_ID`, `${role}_AWS_SECRET_ACCESS_KEY`] as const;

function describePair(role: Role, settings: Settings): Finding {
  const [idName] = pairNames(role);
  const pair = settings.keyPair(role);
  const setting = settings.find(idName);
  if (settings.profile?.source === '--profile') {
    return ok(`those of --profile${setting === undefined ? '' : ', not the pair that is set'}`);
  }
  if (pair === undefined || setting === undefined) {
    return ok('not set: as the AWS SDK finds them (environment, profile, SSO, role)');
  }
  // Pasted into the wrong line it may be the secret.
  const id = /^[A-Z0-9]{16,32}$/.test(pair.accessKeyId)
    ? pair.accessKeyId
    : 'an access key id that does not look like one, so it is not shown';
  return ok(`${id}, from ${whereFrom(setting)}`);
}

/** `AWS_REGION in .env` is the setting's name and where it stands. */
function whereFrom({ source }: Setting): string {
  if (source.startsWith('--')) return source;
  const [, file] = /^[A-Z_]+ in (.*)$/s.exec(source) ?? [];
  return file ?? (source === 'AWS_DEFAULT_REGION' ? source : 'the environment');
}

const list = (references: readonly KeyReference[]): string =>
  references.map(keyReferenceText).join(', ') || 'an empty list';

const named = (name: string, references: Attempt<readonly KeyReference[]>): NamedKey[] =>
  'value' in references
    ? references.value.map((reference, index) => ({ name: `${name} ${index + 1}`, reference }))
    : [];

function attempt<Value>(read: () => Value): Attempt<Value> {
  try {
    return { value: read() };
  } catch (error) {
    if (error instanceof KmsPocError) return { error };
    throw error;
  }
}

function valueOf<Value>(attempted: Attempt<Value>): Value {
  if ('error' in attempted) throw attempted.error;
  return attempted.value;
}
