/** From settings to what kms-doctor looks at, with the credentials to do so. */
import type { RoleAccess, Subject } from '../../doctor/subject.ts';
import type { KeySources } from '../../keys/key-sources.ts';
import { once } from '../../streams/once.ts';
import { riskOf } from '../file-risks.ts';
import { defaultLocalKeyFile } from '../folders.ts';
import { type Access, createKeySources, kmsOptions } from '../key-sources.ts';
import { isFromOption } from '../setting.ts';
import type { Role } from '../settings.ts';
import { askOnce, readPassphrase } from '../terminal/ask-passphrase.ts';
import { vaultFiles } from '../vault-settings.ts';
import type { ReadSettings } from './settings.ts';

export function createSubject(
  access: Access,
  { user, key, backupKeys, oldKeys, fallbackRegions, passphraseFile, sign }: ReadSettings,
): Subject {
  const { settings } = access;
  const region = settings.region?.value;
  const arnRegion = key?.reference.kind === 'aws' ? key.reference.arnRegion : undefined;
  const shared: Shared = {
    // What is wrong with a file is a row.
    ...{ ...access, events: { ...access.events, keyFile: () => undefined } },
    readPassphrase: askOnce((file) => readPassphrase(file, passphraseFile, shared.events)),
    homeRegion: arnRegion ?? region,
  };
  return {
    user,
    key,
    backupKeys,
    oldKeys,
    fallbackRegions,
    sign,
    region,
    settingsFile: settings.file?.path,
    passphraseFile,
    vaultFiles: [key, ...backupKeys, ...oldKeys].some((each) => each?.reference.kind === 'vault')
      ? vaultFiles(settings)
      : [],
    riskOf,
    defaultLocalKeyFile,
    readPassphrase: shared.readPassphrase,
    isKeyFromOption: isFromOption(settings.keyId),
    vault: once(async () => (await import('../vault.ts')).connect(shared)),
    encryptor: createRoleAccess('ENCRYPTOR', shared),
    decryptor: createRoleAccess('DECRYPTOR', shared),
  };
}

/** What both roles have in common. */
interface Shared extends Access {
  readonly readPassphrase: KeySources['readPassphrase'];
  /** STS is asked in the same Region as KMS. */
  readonly homeRegion: string | undefined;
}

function createRoleAccess(role: Role, shared: Shared): RoleAccess {
  const { readPassphrase, homeRegion } = shared;
  let keySources: KeySources | undefined;
  return {
    role: role === 'ENCRYPTOR' ? 'encryptor' : 'decryptor',
    // No Region stands in for another one: each is asked by itself.
    keySources: () => (keySources ??= { ...createKeySources(shared, role, []), readPassphrase }),
    identity: async () => {
      const { askIdentity } = await import('../../kms/identity.ts');
      return askIdentity({ ...kmsOptions(shared, 'sts', role), region: homeRegion }, 'look up');
    },
    keyStates: once(async (region: string | undefined) => {
      const { connectKeyStates } = await import('../../kms/key-state.ts');
      return connectKeyStates({ ...kmsOptions(shared, 'kms', role), region });
    }),
  };
}
