/**
 * How a user names a key: `--key`, `KEY_ID`, `DECRYPT_KEYS`.
 */
import { usageError } from '../errors.ts';
import { expandKeyFileName } from '../formats/file-name.ts';

/** A KMS key as given: alias, id or ARN. An ARN names its Region, which overrides every setting. */
export interface AwsKeyReference {
  readonly kind: 'aws';
  readonly keyId: string;
  readonly arnRegion: string | undefined;
}

/** A local key file; without a path, the default one in the user's data folder. */
interface LocalKeyReference {
  readonly kind: 'local';
  readonly file: string | undefined;
}

/** An RSA key file in PEM: a public key encrypts, a private key decrypts. */
export interface RsaKeyReference {
  readonly kind: 'rsa';
  readonly file: string;
  /** Pins the key: the file must hold the one with this fingerprint. */
  readonly fingerprint: string | undefined;
}

/** A transit key of HashiCorp Vault or OpenBao. */
export interface VaultKeyReference {
  readonly kind: 'vault';
  readonly mount: string;
  readonly name: string;
}

export type KeyReference =
  AwsKeyReference | LocalKeyReference | RsaKeyReference | VaultKeyReference;

const howToNameAKey =
  'A key is an AWS KMS alias/NAME, key id, key ARN or alias ARN, or local, local:FILE, rsa:FILE, rsa:FILE#FINGERPRINT or vault:[MOUNT/]NAME.';

// The formats of KeyId in https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html. Key
// ids don't have to be UUIDs: multi-Region ids are `mrk-` and 32 hex digits, and more may come.
const keyArn = /^arn:[a-z0-9-]+:kms:([a-z0-9-]+):\d{12}:(?:key\/[A-Za-z0-9-]+|alias\/[\w/-]+)$/;
const alias = /^alias\/[\w/-]+$/;
const bareKeyId =
  /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/i;

// A key's name has the letters that Vault allows; of the path of a mount no more than those either, so
// that nothing in it can lead elsewhere on the server.
const vaultKey = /^vault:((?:\w(?:[\w.-]*\w)?\/)*)(\w(?:[\w.-]*\w)?)$/;
const defaultMount = 'transit';

/** A `#` in a name is part of it, unless a whole fingerprint follows. */
const rsaFile = /^rsa:(.*?)(?:#([0-9a-fA-F]{32}))?$/s;

/**
 * @param text what the user gave
 * @param source where it was given, for the error: `--key`, `KEY_ID` …
 * @throws KmsPocError Usage, for anything that can't name a key
 */
export function parseKeyReference(text: string, source: string): KeyReference {
  if (text === 'local') return { kind: 'local', file: undefined };
  if (text.startsWith('local:')) {
    const file = text.slice('local:'.length);
    if (file === '') throw usageError(`${source} has no file after local:.`, howToNameAKey);
    return { kind: 'local', file: expandKeyFileName(file, source) };
  }
  if (text.startsWith('rsa:')) {
    const [, file = '', fingerprint] = rsaFile.exec(text) ?? [];
    if (file === '') throw usageError(`${source} has no file after rsa:.`, howToNameAKey);
    return {
      kind: 'rsa',
      file: expandKeyFileName(file, source),
      fingerprint: fingerprint?.toLowerCase(),
    };
  }
  if (text.startsWith('vault:')) {
    const [, mount = '', name] = vaultKey.exec(text) ?? [];
    if (name !== undefined)
      return { kind: 'vault', mount: mount.slice(0, -1) || defaultMount, name };
    throw usageError(
      `${source} has no name of a transit key after vault:.`,
      'It looks like vault:NAME, or vault:MOUNT/NAME for an engine that is not mounted at transit/.',
    );
  }
  const arn = keyArn.exec(text);
  if (arn) return { kind: 'aws', keyId: text, arnRegion: arn[1] };
  if (alias.test(text) || bareKeyId.test(text)) {
    return { kind: 'aws', keyId: text, arnRegion: undefined };
  }
  // Anything but a short word may be a secret in the wrong place, so it is not repeated.
  const shown = /^[a-z][a-z0-9:-]{0,15}$/.test(text) ? ` has "${text}", which` : '';
  throw usageError(`${source}${shown} is not a known kind of key.`, howToNameAKey);
}

/** Whether two references name a key in the same way. An alias and an ARN may still be one key. */
export function isSameReference(one: KeyReference, other: KeyReference): boolean {
  if (one.kind === 'aws') return other.kind === 'aws' && one.keyId === other.keyId;
  if (one.kind === 'vault') {
    return other.kind === 'vault' && one.mount === other.mount && one.name === other.name;
  }
  return other.kind === one.kind && other.file === one.file;
}

/**
 * Parses a comma-separated list of key references. Empty entries and surrounding spaces are
 * ignored.
 */
export function parseKeyReferences(text: string, source: string): KeyReference[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => parseKeyReference(entry, source));
}

/** @returns the key's name, in a form that `parseKeyReference` reads back */
export function keyReferenceText(reference: KeyReference): string {
  switch (reference.kind) {
    case 'aws':
      return reference.keyId;
    case 'local':
      return reference.file === undefined ? 'local' : `local:${reference.file}`;
    case 'rsa':
      return `rsa:${reference.file}${reference.fingerprint === undefined ? '' : `#${reference.fingerprint}`}`;
    case 'vault':
      return `vault:${reference.mount === defaultMount ? '' : `${reference.mount}/`}${reference.name}`;
  }
}
