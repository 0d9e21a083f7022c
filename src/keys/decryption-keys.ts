/** Turns a key as the user names it into one that may open a message. */
import {
  kmsProviderId,
  localKeyNamespace,
  mayBeVaultKey,
  rsaKeyNamespace,
} from '../envelope/key-names.ts';
import type { UnwrappingKey } from '../envelope/wrapping-key.ts';
import { KmsPocError } from '../errors.ts';
import { isKeyArn, isSameKmsKey } from '../formats/kms-arn.ts';
import { openAwsKey, wrapWithAwsKey } from './aws-key.ts';
import { type KeyReference, keyReferenceText } from './key-reference.ts';
import type { KeySources } from './key-sources.ts';
import { wrapWithVaultKey } from './vault-key.ts';

/** Touches no file and makes no call until a message's header needs it. */
export function unwrappingKey(reference: KeyReference, sources: KeySources): UnwrappingKey {
  switch (reference.kind) {
    case 'aws': {
      const { keyId } = reference;
      return {
        name: keyId,
        mayBeNamedBy: ({ providerId, providerInfo }) =>
          providerId === kmsProviderId && (!isKeyArn(keyId) || isSameKmsKey(keyId, providerInfo)),
        open: async () => wrapWithAwsKey(await openAwsKey(reference, sources)),
      };
    }
    case 'local': {
      const file = reference.file ?? sources.defaultLocalKeyFile();
      return {
        name: `the local key ${file}`,
        mayBeNamedBy: ({ providerId }) => providerId === localKeyNamespace,
        open: async () => {
          const { readLocalKey, wrapWithLocalKey } = await import('./local-key.ts');
          const key = await readLocalKey(file);
          if (key === undefined) throw noLocalKey(file);
          if (key.stat !== undefined) sources.events.keyFile(file, key.stat, true);
          return wrapWithLocalKey(key);
        },
      };
    }
    case 'rsa': {
      const { file } = reference;
      return {
        name: `the RSA key ${file}`,
        mayBeNamedBy: ({ providerId }) => providerId === rsaKeyNamespace,
        open: async () => {
          const [{ privateKeyMissing, readRsaKey }, { rsaWrappingKey }] = await Promise.all([
            import('./rsa-key.ts'),
            import('../envelope/rsa-wrapping-key.ts'),
          ]);
          const rsaKey = await readRsaKey(reference, sources.readPassphrase);
          const { key, fingerprint, stat, isSecret } = rsaKey;
          sources.events.keyFile(file, stat, isSecret);
          const wrappingKey = rsaWrappingKey(fingerprint, key);
          if (key.type === 'private') return wrappingKey;
          return { ...wrappingKey, onlyWraps: privateKeyMissing(file) };
        },
      };
    }
    case 'vault': {
      const { mount, name } = reference;
      return {
        name: keyReferenceText(reference),
        mayBeNamedBy: (dataKey) => mayBeVaultKey(`${mount}/${name}`, dataKey),
        open: () => wrapWithVaultKey(reference, sources),
      };
    }
  }
}

/** Decrypting never creates a key, because a new one opens nothing. */
const noLocalKey = (file: string): KmsPocError =>
  new KmsPocError(
    'KeyNotFound',
    `There is no local key ${file}.`,
    'A message from another machine needs the key file from that machine: --key local:FILE.',
  );
