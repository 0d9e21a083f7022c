/** From settings to where keys come from. */
import { join } from 'node:path';
import { env, platform } from 'node:process';

import { isMultiRegionKey } from '../formats/kms-arn.ts';
import type { KeySources } from '../keys/key-sources.ts';
import type { Kms } from '../kms/kms.ts';
import { homeFolder } from './folders.ts';
import { readPassphrase } from './terminal/ask-passphrase.ts';
import type { KeyPair, Role, Settings } from './settings.ts';
import type { Voice } from './terminal/notices.ts';

/**
 * Before any client of AWS is made: the SDK takes an `endpoint_url` from the profile that the
 * environment names, not from the one that the client is given.
 */
export function useProfile({ profile }: Settings): void {
  if (profile !== undefined) env.AWS_PROFILE = profile.value;
}

/**
 * @param role whose credentials they use; undefined: those of the AWS SDK's own chain
 * @throws KmsPocError Usage, for half a pair of credentials
 */
export function createKeySources(
  settings: Settings,
  role: Role | undefined,
  voice: Voice,
): KeySources {
  const { fallbackRegions } = settings;
  const credentials = role === undefined ? undefined : settings.keyPair(role);
  const onRequest = announceStrangeHosts(settings, voice);
  const connectTo = once((region: string | undefined) =>
    connect(region, settings, credentials, onRequest),
  );
  // One for all keys of a Region and all messages: what is out is found out once.
  const connectWithFallback = once(async (region: string | undefined) => {
    const { withFallback } = await import('../kms/fallback.ts');
    return withFallback(await connectTo(region), fallbackRegions, connectTo, (error, next) => {
      voice.warn(`${error.message} Going on in ${next}.`);
    });
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
    onKeyFile: (file, event) => {
      if (event === 'made') {
        voice.warn(
          `made a new local key, ${file}. Keep a copy: what it encrypts can't be read without it.`,
        );
      } else {
        voice.notice(`others can read the key ${file}: chmod 600 it.`);
      }
    },
  };
}

/** Connects to each Region once, whoever asks. */
function once<Region>(
  connectTo: (region: Region) => Promise<Kms>,
): (region: Region) => Promise<Kms> {
  const connections = new Map<Region, Promise<Kms>>();
  return (region) => {
    const connection = connections.get(region) ?? connectTo(region);
    connections.set(region, connection);
    return connection;
  };
}

async function connect(
  region: string | undefined,
  settings: Settings,
  credentials: KeyPair | undefined,
  onRequest: (host: string) => void,
): Promise<Kms> {
  const { connectKms } = await import('../kms/kms.ts');
  return connectKms({
    region,
    profile: settings.profile?.value,
    endpoint: settings.endpoint?.value,
    credentials,
    onRequest,
  });
}

export function announceStrangeHosts(
  { endpoint }: Pick<Settings, 'endpoint'>,
  voice: Voice,
): (host: string) => void {
  return (host) => {
    if (isAwsKmsHost(host)) return;
    const source = endpoint?.source ?? 'the AWS configuration file';
    voice.warn(`messages go to ${host}, which is not AWS KMS (set by ${source}).`);
  };
}

// The DNS suffixes of AWS's partitions, and those for dual-stack endpoints:
// https://docs.aws.amazon.com/general/latest/gr/rande.html and the SDK's partitions.json.
const awsSuffixes = [
  'amazonaws.com',
  'amazonaws.com.cn',
  'amazonaws.eu',
  'api.aws',
  'api.amazonwebservices.com.cn',
  'api.amazonwebservices.eu',
  'c2s.ic.gov',
  'sc2s.sgov.gov',
  'cloud.adc-e.uk',
  'csp.hci.ic.gov',
];

/**
 * Whether a host is AWS KMS itself: its endpoint in a Region, or one in a network of one's own
 * (`vpce-….kms.REGION.vpce.amazonaws.com`). Other hosts below AWS's domains are anybody's, a load
 * balancer or an API gateway for one.
 */
export const isAwsKmsHost = (host: string): boolean => isAwsHost(host, 'kms');

export const isAwsHost = (host: string, service: 'kms' | 'sts'): boolean =>
  awsSuffixes.some((suffix) => {
    if (!host.endsWith(`.${suffix}`)) return false;
    const name = /^(?:[\w-]+\.)?([a-z]+)(?:-fips)?\.[a-z]+(?:-[a-z]+)+-\d+(?:\.vpce)?$/.exec(
      host.slice(0, -suffix.length - 1),
    )?.[1];
    return name === service;
  });

/** Where each system keeps a program's data: the XDG base directories on Linux. */
function defaultLocalKeyFile(): string {
  const dataFolder =
    platform === 'darwin'
      ? homeFolder(undefined, 'Library', 'Application Support')
      : platform === 'win32'
        ? homeFolder(env.LOCALAPPDATA, 'AppData', 'Local')
        : homeFolder(env.XDG_DATA_HOME, '.local', 'share');
  return join(dataFolder, 'kms-poc', 'local.key');
}
