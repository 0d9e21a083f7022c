/** Checks what state each KMS key is in, and that it is where the settings say it is. */
import { KmsPocError } from '../errors.ts';
import { inRegion, isMultiRegionKey } from '../formats/kms-arn.ts';
import type { KeyState } from '../kms/key-state.ts';
import { type Check, check, type Finding, skipped, ok } from './check.ts';
import { allKeys, type RoleAccess, type Subject } from './subject.ts';

export async function* checkKeys(subject: Subject): AsyncGenerator<Check> {
  const { key, oldKeys, fallbackRegions, encryptor, decryptor } = subject;
  for (const each of allKeys(subject)) {
    const { name, reference } = each;
    if (reference.kind !== 'aws') continue;
    const { keyId, arnRegion } = reference;
    const access = oldKeys.includes(each) ? decryptor : encryptor;
    const lookedUp = lookUp(keyId, arnRegion ?? subject.region, access);
    yield await checkState(name, keyId, lookedUp);

    const found = await lookedUp.catch(() => undefined);
    if (each !== key || !isMultiRegionKey(keyId)) continue;
    for (const region of fallbackRegions) {
      if (region === found?.region) continue;
      const inReplica = lookUp(inRegion(keyId, region), region, access);
      yield await checkReplica(`${name} in ${region}`, keyId, region, inReplica);
    }
  }
}

interface Found {
  readonly region: string;
  readonly key: KeyState;
}

async function lookUp(
  keyId: string,
  askedRegion: string | undefined,
  access: RoleAccess,
): Promise<Found> {
  const states = await access.keyStates(askedRegion);
  const { region } = states;
  return { region, key: await states.describe(keyId) };
}

const checkState = (name: string, keyId: string, lookedUp: Promise<Found>): Promise<Check> =>
  check('keys', name, async () => {
    try {
      const { region, key } = await lookedUp;
      requireUsable(keyId, region, key);
      return ok(describe(keyId, key));
    } catch (error) {
      return skippedIfHidden(error);
    }
  });

const checkReplica = (
  name: string,
  keyId: string,
  region: string,
  lookedUp: Promise<Found>,
): Promise<Check> =>
  check('keys', name, async () => {
    try {
      const { key } = await lookedUp;
      requireUsable(keyId, region, key);
      return ok(key.state.toLowerCase());
    } catch (error) {
      if (error instanceof KmsPocError && error.code === 'KeyNotFound') {
        throw new KmsPocError(
          'KeyNotFound',
          `FALLBACK_REGIONS names ${region}, but the key has no replica there.`,
          `Create one (aws kms replicate-key --replica-region ${region} --key-id ${keyId}), or remove the Region.`,
          { cause: error },
        );
      }
      return skippedIfHidden(error);
    }
  });

/** Messages don't need permission to look up a key: the routes show whether the key works. */
function skippedIfHidden(error: unknown): Finding {
  if (error instanceof KmsPocError && error.code === 'AccessDenied') return skipped(error.message);
  throw error;
}

/** A key that is Updating (its primary Region, for example) can still be used. */
const isUsable = ({ state, isForMessages }: KeyState): boolean =>
  isForMessages && (state === 'Enabled' || state === 'Updating');

function requireUsable(keyId: string, region: string, key: KeyState): void {
  if (isUsable(key)) return;
  if (!key.isForMessages) {
    throw new KmsPocError(
      'KeyUnusable',
      `The key ${keyId} can't encrypt messages.`,
      'Use a symmetric key with key usage ENCRYPT_DECRYPT.',
    );
  }
  const options = `--region ${region} --key-id ${key.keyArn}`;
  switch (key.state) {
    case 'Disabled':
      throw new KmsPocError(
        'KeyUnusable',
        `The key ${keyId} is disabled in ${region}.`,
        `An administrator can enable it: aws kms enable-key ${options}`,
      );
    case 'PendingDeletion':
      throw new KmsPocError(
        'KeyUnusable',
        `The key ${keyId} in ${region} is scheduled for deletion${whenDeleted(key)}. Its messages are lost after that.`,
        `Cancel the deletion while there is time: aws kms cancel-key-deletion ${options}, then enable-key.`,
      );
    default:
      throw new KmsPocError(
        'KeyUnusable',
        `The key ${keyId} can't be used in ${region}: its state is ${key.state}.`,
        'The AWS KMS Developer Guide explains it under "Key states".',
      );
  }
}

const whenDeleted = ({ deletionDate }: KeyState): string =>
  deletionDate === undefined ? '' : ` on ${deletionDate.toISOString().slice(0, 10)}`;

function describe(keyId: string, { keyArn, state, multiRegion }: KeyState): string {
  const parts = [keyId === keyArn ? keyArn : `${keyId} is ${keyArn}`, state.toLowerCase()];
  if (multiRegion === undefined) parts.push('single-Region');
  else {
    const { primary, replicas } = multiRegion;
    parts.push(`primary in ${primary}`, `replicas in ${replicas.join(', ') || 'no Region'}`);
  }
  return parts.join(', ');
}
