/** Turns settings into what kms-doctor checks, with the credentials to do so. */
import type { Access, Subject } from '../../doctor/subject.ts';
import type { Events } from '../../events.ts';
import type { KeySources } from '../../keys/key-sources.ts';
import { once } from '../../streams/once.ts';
import { announce, createKeySources, defaultLocalKeyFile } from '../key-sources.ts';
import { isFromOption, type Role, type Settings } from '../settings.ts';
import { askOnce, readPassphrase } from '../terminal/ask-passphrase.ts';
import type { Notices } from '../terminal/notices.ts';
import type { ReadSettings } from './settings.ts';

export function createSubject(
  settings: Settings,
  { user, key, backupKeys, oldKeys, fallbackRegions }: ReadSettings,
  notices: Notices,
): Subject {
  const region = settings.region?.value;
  const arnRegion = key?.reference.kind === 'aws' ? key.reference.arnRegion : undefined;
  const shared: Shared = {
    settings,
    // A file that others can read gets a row of its own.
    events: { ...announce(settings, notices), keyExposed: () => undefined },
    readPassphrase: askOnce((file) => readPassphrase(file, settings.rsaPassphraseFile)),
    homeRegion: arnRegion ?? region,
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
    defaultLocalKeyFile: defaultLocalKeyFile(),
    readPassphrase: shared.readPassphrase,
    isKeyFromOption: isFromOption(settings.keyId),
    encryptor: createAccess('ENCRYPTOR', shared),
    decryptor: createAccess('DECRYPTOR', shared),
  };
}

/** What both roles have in common. */
interface Shared {
  readonly settings: Settings;
  readonly events: Events;
  readonly readPassphrase: KeySources['readPassphrase'];
  /** STS is asked in the same Region as KMS. */
  readonly homeRegion: string | undefined;
}

function createAccess(
  role: Role,
  { settings, events, readPassphrase, homeRegion }: Shared,
): Access {
  const optionsFor = (service: 'kms' | 'sts', region: string | undefined) => ({
    region,
    profile: settings.profile?.value,
    // An invalid endpoint throws: without it, requests would go where nobody wanted them to go.
    endpoint: settings.endpoint(service)?.value,
    credentials: settings.keyPair(role),
    events,
  });
  let keySources: KeySources | undefined;
  return {
    role: role === 'ENCRYPTOR' ? 'encryptor' : 'decryptor',
    // Without fallback Regions, so that each Region is tested on its own.
    keySources: () =>
      (keySources ??= { ...createKeySources(settings, role, events, []), readPassphrase }),
    identity: async () => {
      const { askIdentity } = await import('../../kms/identity.ts');
      return askIdentity(optionsFor('sts', homeRegion));
    },
    keyStates: once(async (region: string | undefined) => {
      const { connectKeyStates } = await import('../../kms/key-state.ts');
      return connectKeyStates(optionsFor('kms', region));
    }),
  };
}
