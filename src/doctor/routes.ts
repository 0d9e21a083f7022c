/**
 * Checks that each way to a message works. Each is tried on its own, with its own message where
 * necessary, so that another key or Region can't make up for one that fails and hide it.
 */
import { inRegion, isMultiRegionKey } from '../formats/kms-arn.ts';
import { unwrappingKey } from '../keys/decryption-keys.ts';
import { type EncryptionKey, openEncryptionKey } from '../keys/encryption-keys.ts';
import { type AwsKeyReference, isSameReference, keyReferenceText } from '../keys/key-reference.ts';
import { type Canary, encryptCanary, longBytes, openCanary, shortBytes } from './canary.ts';
import { advice, type Check, check, type Finding, ok, skipped, timedCheck } from './check.ts';
import {
  comparePrivateKey,
  fingerprintOf,
  openerOf,
  readRsaKeys,
  type RsaKeys,
  whoseHalf,
} from './rsa-pairs.ts';
import type { NamedKey, Subject } from './subject.ts';

interface Drill {
  readonly subject: Subject;
  readonly user: string;
  readonly rsaKeys: RsaKeys;
}

export async function* checkRoutes(subject: Subject): AsyncGenerator<Check> {
  const { user, key, backupKeys, oldKeys } = subject;
  if (user === undefined) {
    yield check('routes', 'all routes', () => skipped('There is no user to encrypt for.'));
    return;
  }
  const drill = { subject, user, rsaKeys: await readRsaKeys(subject) };
  if (key?.reference.kind === 'aws') yield* drillRegions(drill, key.name, key.reference);
  else if (key !== undefined) yield drillAlone(drill, key);

  let forAll: Canary | undefined;
  const areAllMade = !(
    await Promise.all([key, ...backupKeys].map((each) => unmadeFileOf(drill, each)))
  ).some(Boolean);
  if (key !== undefined && backupKeys.length > 0 && areAllMade) {
    const canary = encryptForAll(drill, key);
    yield timedCheck('routes', 'encrypt with all keys', async () => {
      const { keys } = await canary;
      const named = backupKeys.length + 1;
      // With --key it can be a drill, by the private half of a backup key.
      return keys.length === named || subject.isKeyFromOption
        ? ok(`one message with ${named} keys`)
        : advice(
            keys.length === 1
              ? 'KEY_ID and BACKUP_KEYS name the same key'
              : `only ${keys.length} of the ${named} keys are different`,
            "Name another key in BACKUP_KEYS, or remove the duplicate: a key can't back itself up.",
          );
    });
    forAll = await canary.catch(() => undefined);
  }
  for (const each of backupKeys) yield drillAlone(drill, each, forAll);
  for (const each of oldKeys) {
    if (!isUsedToo(each, subject)) yield drillOldKey(drill, each);
  }
  if (key !== undefined && subject.isKeyFromOption) {
    const compared = comparePrivateKey(drill.rsaKeys, subject, key);
    if (compared !== undefined) yield compared;
  }
}

/** A KMS key in its own Region and its fallback Regions: each alone, then each pair. */
async function* drillRegions(
  drill: Drill,
  name: string,
  reference: AwsKeyReference,
): AsyncGenerator<Check> {
  const { subject, user } = drill;
  const { encryptor, decryptor, fallbackRegions, backupKeys } = subject;
  const inItsRegion = (region: string): AwsKeyReference => ({
    kind: 'aws',
    keyId: inRegion(reference.keyId, region),
    arnRegion: region,
  });
  const openIn = async (region: string, canaries: readonly Canary[]): Promise<void> => {
    for (const canary of canaries) {
      await openCanary(user, canary, inItsRegion(region), decryptor.keySources());
    }
  };

  const home = homeOf(drill, reference);
  const region = await home.catch(() => undefined);
  if (region === undefined) {
    yield check('routes', name, async () => ok(await home));
    return;
  }
  const others = isMultiRegionKey(reference.keyId)
    ? fallbackRegions.filter((each) => each !== region)
    : [];
  const regions = [region, ...others];
  // With backup keys or a signature KMS never encrypts a message itself.
  const lengths = backupKeys.length > 0 || subject.sign ? [longBytes] : [shortBytes, longBytes];

  const written = new Map<string, readonly Canary[]>();
  for (const from of regions) {
    yield timedCheck('routes', `${name} in ${from}`, async () => {
      const key = await openEncryptionKey(inItsRegion(from), encryptor.keySources());
      const canaries = [];
      for (const length of lengths)
        canaries.push(await encryptCanary(user, [key], length, subject.sign));
      written.set(from, canaries);
      await openIn(from, canaries);
      const what = lengths.length === 1 ? 'a message' : 'a short and a long message';
      return ok(`encrypted and decrypted ${what}`);
    });
  }
  for (const from of regions) {
    for (const to of regions) {
      if (from === to) continue;
      const canaries = written.get(from);
      yield timedCheck('routes', `${from}, opened in ${to}`, async () => {
        if (canaries === undefined) return skipped(`Nothing could be encrypted in ${from}.`);
        await openIn(to, canaries);
        return ok('decrypted');
      });
    }
  }
}

/**
 * The way `kms-encrypt` does it: it can't use an RSA key in Vault, so for a backup key its public half
 * must not stand in here. For --key it may, which can be a drill.
 */
async function encryptForAll(drill: Drill, key: NamedKey): Promise<Canary> {
  const { subject, user } = drill;
  const [first, ...others] = [
    await openForEncryption(drill, key),
    ...(await Promise.all(
      subject.backupKeys.map((each) =>
        each.reference.kind === 'vault'
          ? openEncryptionKey(each.reference, subject.encryptor.keySources())
          : openForEncryption(drill, each),
      ),
    )),
  ];
  return encryptCanary(user, [first, ...others], shortBytes, subject.sign);
}

/**
 * @param forAll a message encrypted with this key among others. Without it the key gets a message
 *   of its own, which for a KMS backup key takes the same permission (kms:Encrypt).
 */
const drillAlone = (drill: Drill, key: NamedKey, forAll?: Canary): Promise<Check> => {
  const { subject, user } = drill;
  const name = key === subject.key ? key.name : `${key.name} alone`;
  return timedCheck('routes', name, async () => {
    const unmadeFile = await unmadeFileOf(drill, key);
    if (unmadeFile !== undefined) {
      return advice(
        `There is no local key ${unmadeFile} yet.`,
        'kms-encrypt creates it with the first message. If there was one, restore it: its messages need it.',
      );
    }
    const canary = forAll ?? (await encryptForOne(drill, key));
    const opener = openerOf(drill.rsaKeys, key);
    const text = shortTextOf(key);
    if (opener === undefined) {
      return skipped(`${text} can encrypt; the private key that decrypts is not here.`);
    }
    await openCanary(user, canary, opener.reference, subject.decryptor.keySources());
    const fingerprint = fingerprintOf(drill.rsaKeys, key);
    if (opener === key) return ok(`${text} opened it${fingerprint}`);
    return ok(`${shortTextOf(opener)}, the private key for ${text}, opened it${fingerprint}`);
  });
};

/** Nothing is encrypted with it any more, and the credentials need no permission to do so. */
const drillOldKey = (drill: Drill, key: NamedKey): Promise<Check> =>
  timedCheck('routes', key.name, async (): Promise<Finding> => {
    const { subject, user } = drill;
    const { reference } = key;
    const isSymmetricInVault = reference.kind === 'vault' && !drill.rsaKeys.has(key);
    if (reference.kind === 'aws' || isSymmetricInVault) {
      return skipped('Nothing is encrypted with it any more, so there is no message to try.');
    }
    const canary = await encryptForOne(drill, key);
    await openCanary(user, canary, reference, subject.decryptor.keySources());
    return ok(
      `${shortTextOf(key)} opened a message of its own${whoseHalf(drill.rsaKeys, subject, key)}`,
    );
  });

const encryptForOne = async (drill: Drill, key: NamedKey): Promise<Canary> =>
  encryptCanary(drill.user, [await openForEncryption(drill, key)], shortBytes, drill.subject.sign);

/**
 * As `kms-encrypt` does, except that a local key is never created, and that for an RSA key in Vault, which
 * only opens messages, its public half encrypts.
 */
async function openForEncryption(
  { subject, rsaKeys }: Drill,
  key: NamedKey,
): Promise<EncryptionKey> {
  const { reference } = key;
  const sources = subject.encryptor.keySources();
  const { publicKey, fingerprint = '' } = rsaKeys.get(key) ?? {};
  if (publicKey !== undefined) {
    const { rsaWrappingKey } = await import('../envelope/rsa-wrapping-key.ts');
    return { kind: 'other', load: () => Promise.resolve(rsaWrappingKey(fingerprint, publicKey)) };
  }
  if (reference.kind !== 'local') return openEncryptionKey(reference, sources);
  const wrappingKey = await unwrappingKey(reference, sources).open();
  return { kind: 'other', load: () => Promise.resolve(wrappingKey) };
}

/**
 * The file of a local key that kms-encrypt has yet to create. Any other problem with the file is
 * reported when the key is opened.
 */
async function unmadeFileOf(
  { subject }: Drill,
  key: NamedKey | undefined,
): Promise<string | undefined> {
  if (key?.reference.kind !== 'local') return undefined;
  const { file = subject.defaultLocalKeyFile() } = key.reference;
  const { readLocalKey } = await import('../keys/local-key.ts');
  const localKey = await readLocalKey(file).catch(() => null);
  localKey?.keyBytes.fill(0);
  return localKey === undefined ? file : undefined;
}

/** The ARN of a KMS key is long, and is already shown in the keys section. */
const shortTextOf = ({ name, reference }: NamedKey): string =>
  reference.kind === 'aws' ? name : keyReferenceText(reference);

const isUsedToo = ({ reference }: NamedKey, { key, backupKeys }: Subject): boolean =>
  [key, ...backupKeys].some(
    (each) => each !== undefined && isSameReference(each.reference, reference),
  );

const homeOf = async ({ subject }: Drill, reference: AwsKeyReference): Promise<string> =>
  (await subject.encryptor.keySources().connectKms(reference)).region;
