/** From settings to what kms-doctor looks at, with the credentials to do so. */
import type { Access, Subject } from '../../doctor/subject.ts';
import type { KeySources } from '../../keys/key-sources.ts';
import type { KmsOptions } from '../../kms/kms.ts';
import type { KeyStates } from '../../kms/key-state.ts';
import type { Problems, ReadSettings } from './settings.ts';
import { announceStrangeHosts, createKeySources, isAwsHost } from '../key-sources.ts';
import { askOnce } from '../terminal/ask-passphrase.ts';
import type { Role, Setting, Settings } from '../settings.ts';
import type { Voice } from '../terminal/notices.ts';

/** What both roles have in common. */
interface Shared {
  readonly settings: Settings;
  readonly problems: Problems;
  readonly voice: Voice;
  readonly readPassphrase: KeySources['readPassphrase'];
  /** Where STS is asked: where KMS is. */
  readonly homeRegion: string | undefined;
  readonly onAnswer: (date: string | undefined) => void;
}

export function createSubject(
  settings: Settings,
  problems: Problems,
  { user, key, backupKeys, oldKeys, fallbackRegions }: ReadSettings,
  voice: Voice,
): Subject {
  const { defaultLocalKeyFile, ...sources } = createKeySources(settings, undefined, voice);
  const readPassphrase = askOnce(sources.readPassphrase);
  const region = settings.region?.value;
  const arnRegion = key?.reference.kind === 'aws' ? key.reference.arnRegion : undefined;
  let clockAheadMs: number | undefined;
  const shared: Shared = {
    settings,
    problems,
    voice,
    readPassphrase,
    homeRegion: arnRegion ?? region,
    onAnswer: (date) => {
      const time = Date.parse(date ?? '');
      if (!Number.isNaN(time)) clockAheadMs ??= Date.now() - time;
    },
  };
  return {
    user,
    key,
    backupKeys,
    oldKeys,
    fallbackRegions,
    region,
    settingsFile: settings.file?.path,
    passphraseFile: settings.rsaPassphraseFile?.value,
    defaultLocalKeyFile,
    readPassphrase,
    isKeyFromOption: settings.keyId?.source === '--key',
    encryptor: createAccess('ENCRYPTOR', shared),
    decryptor: createAccess('DECRYPTOR', shared),
    clockAheadMs: () => clockAheadMs,
  };
}

function createAccess(role: Role, shared: Shared): Access {
  const { settings, voice, readPassphrase } = shared;
  let keySources: KeySources | undefined;
  const connections = new Map<string | undefined, Promise<KeyStates>>();
  return {
    role: role === 'ENCRYPTOR' ? 'encryptor' : 'decryptor',
    keySources: () => {
      requireEndpoint(shared);
      return (keySources ??= {
        // No Region stands in for another one: each is asked by itself.
        ...createKeySources({ ...settings, fallbackRegions: [] }, role, voice),
        readPassphrase,
        onKeyFile: () => undefined, // that others can read a file is a row
      });
    },
    identity: async () => {
      const { askIdentity } = await import('../../kms/identity.ts');
      return askIdentity(stsOptions(role, shared));
    },
    keyStates: async (region) => {
      requireEndpoint(shared);
      const { connectKeyStates } = await import('../../kms/key-state.ts');
      const connection =
        connections.get(region) ?? connectKeyStates({ ...kmsOptions(role, shared), region });
      connections.set(region, connection);
      return connection;
    },
  };
}

/** Without an endpoint that is set, but wrong, requests would go where nobody wanted them to. */
function requireEndpoint({ problems }: Shared): void {
  const problem = problems.get('AWS_ENDPOINT_URL_KMS');
  if (problem !== undefined) throw problem;
}

const clientOptions = (
  role: Role,
  { settings, onAnswer }: Shared,
  endpoint: Setting | undefined,
) => ({
  profile: settings.profile?.value,
  endpoint: endpoint?.value,
  credentials: settings.keyPair(role),
  onAnswer,
});

const kmsOptions = (role: Role, shared: Shared): Omit<KmsOptions, 'region'> => ({
  ...clientOptions(role, shared, shared.settings.endpoint),
  onRequest: announceStrangeHosts(shared.settings, shared.voice),
});

function stsOptions(role: Role, shared: Shared): KmsOptions {
  const { settings, voice, homeRegion } = shared;
  const endpoint = settings.stsEndpoint();
  const source = endpoint?.source ?? 'the AWS configuration file';
  return {
    ...clientOptions(role, shared, endpoint),
    region: homeRegion,
    onRequest: (host) => {
      if (isAwsHost(host, 'sts')) return;
      voice.warn(`${host}, which is not AWS STS, is asked who this is (set by ${source}).`);
    },
  };
}
