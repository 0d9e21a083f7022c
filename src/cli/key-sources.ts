/** Turns settings into the sources that keys come from. */
import { env } from 'node:process';

import { exitStatus } from '../errors.ts';
import { type AwsService, awsServices, type Events } from '../events.ts';
import { homeFolder } from '../formats/file-name.ts';
import { isMultiRegionKey } from '../formats/kms-arn.ts';
import type { KeySources } from '../keys/key-sources.ts';
import { isAwsHost } from '../kms/hosts.ts';
import type { KmsOptions } from '../kms/options.ts';
import { createPatience, type Patience } from '../kms/patience.ts';
import { once } from '../streams/once.ts';
import { riskOf } from './file-risks.ts';
import { defaultLocalKeyFile } from './folders.ts';
import { titleOf } from './setting.ts';
import { isLoopback } from './setting-values.ts';
import type { Role, Settings } from './settings.ts';
import { readPassphrase } from './terminal/ask-passphrase.ts';
import type { Notices } from './terminal/notices.ts';

/** What all key sources of one run share. */
export interface Access {
  readonly settings: Settings;
  readonly events: Events;
  readonly patience: Patience;
}

/** @throws KmsPocError Usage, for settings that are wrong */
export function createAccess(settings: Settings, notices: Notices): Access {
  // Before any client of AWS is made: the SDK takes an `endpoint_url` from the profile that the
  // environment names, not from the one that the client is given.
  if (settings.profile !== undefined) env.AWS_PROFILE = settings.profile.value;
  // Without one the SDK crashes, or reads .aws/config in the current folder.
  if (homeFolder === undefined) env.HOME = '/';
  // For the clients that the SDK makes, too, to assume a role: a misspelt mode would pass for missing
  // credentials or an outage, and `auto` asks for the Region of a machine that may be none of AWS's.
  env.AWS_DEFAULTS_MODE = 'legacy';
  return { settings, events: announce(settings, notices), patience: createPatience() };
}

/**
 * @param role whose credentials they use; undefined: those of the AWS SDK's own chain
 * @throws KmsPocError Usage, for settings that are wrong
 */
export const kmsOptions = (
  { settings, events, patience }: Access,
  service: AwsService,
  role: Role | undefined,
): Omit<KmsOptions, 'region'> => ({
  profile: settings.profile?.value,
  endpoint: settings.endpoint(service)?.value,
  credentials: role === undefined ? undefined : settings.keyPair(role),
  environment: env,
  events,
  patience,
});

/**
 * @param role whose credentials to use; undefined for those of the AWS SDK's own chain
 * @param fallbackRegions where KMS is asked when the first Region is down
 * @throws KmsPocError Usage, for settings that are wrong
 */
export function createKeySources(
  access: Access,
  role: Role | undefined,
  fallbackRegions: readonly string[] = access.settings.fallbackRegions(),
): KeySources {
  const { settings, events } = access;
  const options = kmsOptions(access, 'kms', role);
  const passphraseFile = settings.passphraseFile();
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
    connectVault: once(async () => (await import('./vault.ts')).connect(access)),
    defaultLocalKeyFile,
    readPassphrase: (file) => readPassphrase(file, passphraseFile, events),
    events,
  };
}

const usesOf: Record<AwsService, string> = {
  kms: 'messages are sent to',
  sts: 'identities are checked with',
  cloudformation: 'stacks are managed by',
  secretsmanager: 'secrets are read from',
};

/** What is said of each thing that happens. */
const announce = (settings: Settings, { notice, warn }: Notices): Events => ({
  endpoint: (service, { protocol, hostname }) => {
    if (service === 'vault') {
      if (protocol === 'https:' || isLoopback(hostname)) return;
      warn(`data keys and the Vault token are sent to ${hostname}, without encryption.`);
      return;
    }
    const isAws = isAwsHost(hostname, service);
    const isInTheOpen = protocol === 'http:' && !isLoopback(hostname);
    if (isAws && !isInTheOpen) return;
    const endpoint = settings.endpoint(service);
    const source = endpoint === undefined ? 'the AWS configuration file' : titleOf(endpoint);
    const which = isAws ? '' : `, which is not ${awsServices[service]}`;
    const how = isInTheOpen ? ', without encryption' : '';
    warn(`${usesOf[service]} ${hostname}${which}${how} (set by ${source}).`);
  },
  fallback: (error, nextRegion) => {
    warn(`${error.message} Continuing in ${nextRegion}.`);
  },
  keyMade: (file) => {
    warn(`created a new local key: ${file}. Back it up: without it, what it encrypted is lost.`);
  },
  keyFile: (file, stat, isSecret) => {
    const risk = riskOf(file, stat, isSecret);
    if (risk === undefined) return;
    const text = `${risk.text}. Run: ${risk.fix}`;
    if (risk.isForeign) warn(text);
    else notice(text);
  },
  otherKey: (key, failures) => {
    // That an old message is not encrypted with the first key is not that key's failure.
    const failure = failures.find(({ status }) => status !== exitStatus.undecryptable);
    warn(`opened with another key: ${key}.${failure === undefined ? '' : ` ${failure.message}`}`);
  },
});
