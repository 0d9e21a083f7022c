/** Checks the token of Vault, and its transit keys: their type and state, and what the token may do. */
import { KmsPocError } from '../errors.ts';
import { keyReferenceText, type VaultKeyReference } from '../keys/key-reference.ts';
import type { VaultKeyState } from '../vault/vault.ts';
import { advice, type Check, check, type Finding, ok, skipped } from './check.ts';
import { allKeys, type NamedKey, type Subject } from './subject.ts';

/** A token need not be allowed to look at itself, or at a key: the routes show what works. */
const unlessHidden = async (look: () => Promise<Finding>): Promise<Finding> => {
  try {
    return await look();
  } catch (error) {
    if (error instanceof KmsPocError && error.code === 'AccessDenied')
      return skipped(error.message);
    throw error;
  }
};

export const checkVaultToken = ({ vault }: Subject): Promise<Check> =>
  check('identity', 'Vault token', () =>
    unlessHidden(async () => {
      const { name, policies, secondsLeft } = await (await vault()).lookUpToken();
      const expiry = secondsLeft > 0 ? `expires in ${durationOf(secondsLeft)}` : 'never expires';
      const text = `${name}, with ${policies.join(', ')}, ${expiry}`;
      return policies.includes('root')
        ? advice(text, 'It may do anything. Make one with a policy of its own: see docs/vault.md.')
        : ok(text);
    }),
  );

const durationOf = (seconds: number): string =>
  seconds < 120
    ? `${seconds} s`
    : seconds < 7200
      ? `${Math.floor(seconds / 60)} min`
      : seconds < 172_800
        ? `${Math.floor(seconds / 3600)} h`
        : `${Math.floor(seconds / 86_400)} days`;

export async function* checkVaultKeys(subject: Subject): AsyncGenerator<Check> {
  for (const key of allKeys(subject)) {
    const { name, reference } = key;
    if (reference.kind !== 'vault') continue;
    yield await check('keys', name, () => unlessHidden(() => examineKey(subject, key, reference)));
    yield await check('keys', `${name}, permissions`, () =>
      unlessHidden(() => examinePolicy(subject, reference)),
    );
  }
}

async function examineKey(
  subject: Subject,
  key: NamedKey,
  reference: VaultKeyReference,
): Promise<Finding> {
  const state = await (await subject.vault()).describe(reference);
  const { type, latestVersion, minDecryptionVersion, isDeletable, publicKeys } = state;
  const isRsa = publicKeys.size > 0;
  const onlyOpens =
    subject.oldKeys.includes(key) || (key === subject.key && subject.isKeyFromOption);
  if (!isRsa || !onlyOpens) requireForMessages(keyReferenceText(reference), state);
  const versions = `version ${latestVersion}, opens from version ${minDecryptionVersion} on`;
  const text = `${keyReferenceText(reference)}: ${type}, ${versions}`;
  const configure = `bao write ${reference.mount}/keys/${reference.name}/config`;
  if (isDeletable) {
    return advice(
      `${text}; it can be deleted`,
      `Unless it should be: ${configure} deletion_allowed=false`,
    );
  }
  if (minDecryptionVersion > 1) {
    return advice(
      text,
      `Messages with an older version don't open. Move them with kms-reencrypt, after: ${configure} min_decryption_version=1`,
    );
  }
  return ok(isRsa ? `${text}; it opens what rsa: with its public key encrypted` : text);
}

/** Those that authenticate associated data; https://openbao.org/api-docs/secret/transit/#type */
const isForMessages = ({ type, isDerived }: VaultKeyState): boolean =>
  /^(?:aes\d+-gcm96|x?chacha20-poly1305)$/.test(type) && !isDerived;

function requireForMessages(text: string, state: VaultKeyState): void {
  if (isForMessages(state)) return;
  throw new KmsPocError(
    'KeyUnusable',
    `The key ${text} can't encrypt messages for a user: it is ${state.isDerived ? 'derived' : `of type ${state.type}`}.`,
    'Use one of type aes256-gcm96 or chacha20-poly1305 that is not derived.',
  );
}

/** Of a path with several, the token has all of them. */
const allows = (capabilities: readonly string[] = [], wanted: string): boolean =>
  capabilities.includes(wanted) || capabilities.includes('root');

async function examinePolicy(
  { vault }: Subject,
  { mount, name }: VaultKeyReference,
): Promise<Finding> {
  const paths = {
    encrypt: `${mount}/encrypt/${name}`,
    decrypt: `${mount}/decrypt/${name}`,
    read: `${mount}/keys/${name}`,
    configure: `${mount}/keys/${name}/config`,
  };
  const found = await (await vault()).capabilities(Object.values(paths));
  const may = (what: keyof typeof paths): boolean =>
    allows(found.get(paths[what]), what === 'read' ? 'read' : 'update');
  const text = (['encrypt', 'decrypt', 'read'] as const)
    .map((what) => `may ${may(what) ? '' : 'not '}${what === 'read' ? 'read the key' : what}`)
    .join(', ');
  return may('configure')
    ? advice(
        `${text}, may change the key`,
        'Use a token that may only do what it is for: see docs/vault.md.',
      )
    : ok(text);
}
