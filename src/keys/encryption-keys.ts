/**
 * Turns a key as the user names it into one to encrypt with. Code for each kind is loaded only when
 * needed: a local key doesn't need the AWS SDK, and a KMS blob doesn't need the Encryption SDK.
 */
import type { WrappingKey } from '../envelope/wrapping-key.ts';
import { isSameKmsKey } from '../formats/kms-arn.ts';
import { type AwsKey, openAwsKey, wrapWithAwsKey } from './aws-key.ts';
import type { KeyReference } from './key-reference.ts';
import type { KeySources } from './key-sources.ts';
import { wrapWithVaultKey } from './vault-key.ts';

export type EncryptionKey =
  | AwsKey
  | {
      readonly kind: 'other';
      /** Creates a local key if there is none yet, but only once there is a message to encrypt. */
      readonly load: () => Promise<WrappingKey>;
    };

/** The keys of one message: the first creates the data key, and the others can open it too. */
export type EncryptionKeys = readonly [EncryptionKey, ...EncryptionKey[]];

/** @throws KmsPocError, as `openEncryptionKey` does */
export async function openEncryptionKeys(
  [first, ...others]: readonly [KeyReference, ...KeyReference[]],
  sources: KeySources,
): Promise<EncryptionKeys> {
  // One after the other, because two of them could ask for a passphrase.
  const keys: [EncryptionKey, ...EncryptionKey[]] = [await openEncryptionKey(first, sources)];
  for (const other of others) keys.push(await openEncryptionKey(other, sources));
  return keys;
}

/**
 * Whatever can fail before the message is entered fails here, so that nobody types it in vain.
 *
 * @throws KmsPocError
 */
export async function openEncryptionKey(
  reference: KeyReference,
  sources: KeySources,
): Promise<EncryptionKey> {
  switch (reference.kind) {
    case 'aws':
      return openAwsKey(reference, sources);
    case 'local': {
      const { makeLocalKey, readLocalKey, wrapWithLocalKey } = await import('./local-key.ts');
      const file = reference.file ?? sources.defaultLocalKeyFile();
      const existing = await readLocalKey(file);
      if (existing?.stat !== undefined) sources.events.keyFile(file, existing.stat, true);
      return {
        kind: 'other',
        load: async () => {
          const key = existing ?? (await makeLocalKey(file));
          // In a race, only the process that made it says so.
          if (key.stat === undefined) sources.events.keyMade(file);
          return wrapWithLocalKey(key);
        },
      };
    }
    case 'rsa': {
      const [{ readRsaPublicKey }, { rsaWrappingKey }] = await Promise.all([
        import('./rsa-key.ts'),
        import('../envelope/rsa-wrapping-key.ts'),
      ]);
      const { fingerprint, key, stat, isSecret } = await readRsaPublicKey(
        reference,
        sources.readPassphrase,
      );
      sources.events.keyFile(reference.file, stat, isSecret);
      return { kind: 'other', load: () => Promise.resolve(rsaWrappingKey(fingerprint, key)) };
    }
    case 'vault': {
      const wrappingKey = await wrapWithVaultKey(reference, sources);
      return { kind: 'other', load: () => Promise.resolve(wrappingKey) };
    }
  }
}

/**
 * Loads each key once: an alias and an ARN may name the same key, and the replicas of a
 * multi-Region key are one key. A second data key for it would cost a call and open nothing more.
 *
 * @throws KmsPocError
 */
export async function loadWrappingKeys(
  keys: EncryptionKeys,
): Promise<[WrappingKey, ...WrappingKey[]]> {
  const load = (key: EncryptionKey): Promise<WrappingKey> =>
    key.kind === 'aws' ? wrapWithAwsKey(key) : key.load();
  const [first, ...others] = await Promise.all([load(keys[0]), ...keys.slice(1).map(load)]);
  const distinct: [WrappingKey, ...WrappingKey[]] = [first];
  for (const key of others) {
    if (!distinct.some(({ name }) => isSameKmsKey(name, key.name))) distinct.push(key);
  }
  return distinct;
}
