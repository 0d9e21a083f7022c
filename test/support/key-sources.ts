/** Where keys come from, for commands that are called in the test's own process. */
import { join } from 'node:path';
import type { Events } from '../../src/events.ts';
import type { KeySources } from '../../src/keys/key-sources.ts';
import { connectKms, type Kms } from '../../src/kms/kms.ts';
import { createPatience } from '../../src/kms/patience.ts';
import { connectVault } from '../../src/vault/vault.ts';
import { temporaryFolder } from './command.ts';
import { refusingEndpoint } from './fault-proxy.ts';

const ignore = (): void => undefined;

/** Ignores all events. */
export const noEvents: Events = {
  endpoint: ignore,
  fallback: ignore,
  keyMade: ignore,
  keyFile: ignore,
  otherKey: ignore,
};

/**
 * @param options.endpoint of KMS; without it, calls to KMS are refused
 * @param options.vaultAddress of a test's own server, see vault.ts; without it there is none
 * @param options.localKeyFile the file of `local`; by default one that doesn't exist
 */
export function testKeySources({
  endpoint = refusingEndpoint,
  vaultAddress,
  localKeyFile = join(temporaryFolder(), 'none.key'),
}: { endpoint?: string; vaultAddress?: string; localKeyFile?: string } = {}): KeySources {
  const inRegion = new Map<string, Promise<Kms>>();
  return {
    connectKms: ({ arnRegion: region = 'eu-central-1' }) => {
      const kms =
        inRegion.get(region) ??
        connectKms({
          region,
          profile: undefined,
          endpoint,
          credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'moto-takes-any' },
          environment: {},
          events: noEvents,
          patience: createPatience(),
        });
      inRegion.set(region, kms);
      return kms;
    },
    connectVault: () => {
      if (vaultAddress === undefined) return Promise.reject(new Error('no Vault was expected'));
      return Promise.resolve(
        connectVault({
          address: new URL(vaultAddress),
          token: 'root',
          namespace: undefined,
          certificates: undefined,
          events: noEvents,
          patience: createPatience(),
        }),
      );
    },
    defaultLocalKeyFile: () => localKeyFile,
    readPassphrase: () => Promise.reject(new Error('no passphrase was expected')),
    events: noEvents,
  };
}
