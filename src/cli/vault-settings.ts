/** The settings of Vault, by the names that its own command line reads: OpenBao's first, as there. */
import type { Subject } from '../doctor/subject.ts';
import { KmsPocError, usageError } from '../errors.ts';
import { homeFolder } from '../formats/file-name.ts';
import { isFromImplicitFile, type Setting, type SettingName, titleOf } from './setting.ts';
import { isLoopback, parseFileName } from './setting-values.ts';
import type { Settings } from './settings.ts';

/** @throws KmsPocError Usage, if there is none, or one that may not be used */
export function vaultAddress(settings: Settings): Setting {
  const address = find(settings, 'BAO_ADDR', 'VAULT_ADDR');
  if (address === undefined) {
    throw usageError(
      'A Vault key is set, but no address of a server.',
      'Set BAO_ADDR or VAULT_ADDR, such as https://vault.example.com:8200.',
    );
  }
  const url = URL.canParse(address.value) ? new URL(address.value) : undefined;
  if (
    url === undefined ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.username + url.password !== ''
  ) {
    throw usageError(
      `${titleOf(address)} is not an http or https URL.`,
      'It should look like https://vault.example.com:8200.',
    );
  }
  if (address.origin !== 'environment' && url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw usageError(
      `${titleOf(address)} would send data keys to ${url.host} without encryption.`,
      'An address in a settings file must use https or be on this machine.',
    );
  }
  return address;
}

/** @throws KmsPocError Usage, as for each of these */
export const vaultNamespace = (settings: Settings): Setting | undefined =>
  find(settings, 'BAO_NAMESPACE', 'VAULT_NAMESPACE');

export const vaultCertificateFile = (settings: Settings): string | undefined =>
  parseFileName(find(settings, 'BAO_CACERT', 'VAULT_CACERT'));

/** Where the token is: in a setting, else in the file in which a login leaves it, if that is there. */
export function vaultToken(
  settings: Settings,
): { readonly token: Setting } | { readonly file: string | undefined } {
  const token = find(settings, 'BAO_TOKEN', 'VAULT_TOKEN');
  if (token !== undefined) return { token };
  return { file: homeFolder === undefined ? undefined : `${homeFolder}/.vault-token` };
}

/** What a run with a Vault key reads besides. Of a setting that is wrong its row tells. */
export function vaultFiles(settings: Settings): Subject['vaultFiles'] {
  const files: Subject['vaultFiles'][number][] = [];
  try {
    const found = vaultToken(settings);
    if ('file' in found && found.file !== undefined) {
      files.push({ file: found.file, what: 'Vault token', isSecret: true });
    }
    const certificates = vaultCertificateFile(settings);
    if (certificates !== undefined) {
      files.push({ file: certificates, what: 'Vault certificates', isSecret: false });
    }
  } catch (error) {
    if (!(error instanceof KmsPocError)) throw error;
  }
  return files;
}

/**
 * No setting of Vault is taken from an `.env` that nobody named: it may come with somebody else's
 * repository. An address from there would get your token from ~/.vault-token and the data keys of your
 * messages; a token or a namespace would have them wrapped with a key of the same name that is somebody
 * else's; a certificate would let anyone answer in the server's place.
 */
function find(settings: Settings, ...names: SettingName[]): Setting | undefined {
  const setting = settings.find(...names);
  if (setting === undefined || !isFromImplicitFile(setting)) return setting;
  throw usageError(
    `${titleOf(setting)} is not used: no setting of Vault is taken from a file that was not named.`,
    `Set ${setting.name} in the environment, or name the file: --env-file .env`,
  );
}
