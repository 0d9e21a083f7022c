/** Turns settings into the sources that keys come from. */
import { join } from 'node:path';
import { env } from 'node:process';

import { exitStatus } from '../errors.ts';
import type { Events } from '../events.ts';
import { isMultiRegionKey } from '../formats/kms-arn.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { isAwsHost } from '../kms/hosts.ts';
import { once } from '../streams/once.ts';
import { userFolder } from './folders.ts';
import { type Role, type Settings, titleOf } from './settings.ts';
import { readPassphrase } from './terminal/ask-passphrase.ts';
import type { Notices } from './terminal/notices.ts';

/**
 * Must run before any AWS client is created: the SDK takes `endpoint_url` from the profile that the
 * environment names, not from the one that the client is given.
 */
export function useProfile({ profile }: Settings): void {
  if (profile !== undefined) env.AWS_PROFILE = profile.value;
}

/**
 * @param role whose credentials to use; undefined for those of the AWS SDK's own chain
 * @param fallbackRegions where KMS is asked when the first Region is down
 * @throws KmsPocError Usage, for settings that are wrong
 */
export function createKeySources(
  settings: Settings,
  role: Role | undefined,
  events: Events,
  fallbackRegions: readonly string[] = settings.fallbackRegions(),
): KeySources {
  const options = {
    profile: settings.profile?.value,
    endpoint: settings.endpoint('kms')?.value,
    credentials: role === undefined ? undefined : settings.keyPair(role),
    events,
  };
  const connectTo = once(async (region: string | undefined) => {
    const { connectKms } = await import('../kms/kms.ts');
    return connectKms({ ...options, region });
  });
  // Shared by all keys of a Region and all messages, so that a dead Region is discovered only once.
  const connectWithFallback = once(async (region: string | undefined) => {
    const { withFallback } = await import('../kms/fallback.ts');
    return withFallback(await connectTo(region), fallbackRegions, connectTo, events);
  });
  return {
    connectKms: ({ keyId, arnRegion }) => {
      const region = arnRegion ?? settings.region?.value;
      return fallbackRegions.length > 0 && isMultiRegionKey(keyId)
        ? connectWithFallback(region)
        : connectTo(region);
    },
    defaultLocalKeyFile: defaultLocalKeyFile(),
    readPassphrase: (file) => readPassphrase(file, settings.rsaPassphraseFile),
    events,
  };
}

export const defaultLocalKeyFile = (): string => join(userFolder('data'), 'kms-poc', 'local.key');

/** What is said about each event. */
export const announce = (settings: Settings, { notice, warn }: Notices): Events => ({
  request: (service, host) => {
    if (isAwsHost(host, service)) return;
    const endpoint = settings.endpoint(service);
    const source = endpoint === undefined ? 'the AWS configuration file' : titleOf(endpoint);
    warn(
      service === 'kms'
        ? `messages are sent to ${host}, which is not AWS KMS (set by ${source}).`
        : `identities are checked with ${host}, which is not AWS STS (set by ${source}).`,
    );
  },
  fallback: (error, nextRegion) => {
    warn(`${error.message} Continuing in ${nextRegion}.`);
  },
  keyMade: (file) => {
    warn(`created a new local key: ${file}. Back it up: without it, what it encrypted is lost.`);
  },
  keyExposed: (file) => {
    notice(`other users can read the key ${file}. Run: chmod 600 ${file}`);
  },
  otherKey: (key, failures) => {
    // That an old message is not encrypted with the first key is not that key's failure.
    const failure = failures.find(({ status }) => status !== exitStatus.undecryptable);
    warn(`opened with another key: ${key}.${failure === undefined ? '' : ` ${failure.message}`}`);
  },
});
