/** The settings of Vault, as kms-doctor sees them. */
import { type Finding, ok } from '../../doctor/check.ts';
import { type Setting, titleOf } from '../setting.ts';
import type { Settings } from '../settings.ts';
import {
  vaultAddress,
  vaultCertificateFile,
  vaultNamespace,
  vaultToken,
} from '../vault-settings.ts';

/** A row for each that is set, and for what each run needs. */
export function vaultRows(settings: Settings): [string, () => Finding][] {
  return [
    [
      'Vault address',
      () => {
        const address = vaultAddress(settings);
        return setBy(address, new URL(address.value).origin);
      },
    ],
    [
      'Vault token',
      () => {
        const found = vaultToken(settings);
        if ('token' in found) return setBy(found.token, 'not shown');
        return ok(`not set: from ${found.file ?? 'nowhere'}, if it is there, or from an agent`);
      },
    ],
    ...rowIfSet(settings.find('BAO_NAMESPACE', 'VAULT_NAMESPACE'), 'Vault namespace', () =>
      vaultNamespace(settings),
    ),
    ...rowIfSet(settings.find('BAO_CACERT', 'VAULT_CACERT'), 'Vault certificates', () => {
      vaultCertificateFile(settings);
      return settings.find('BAO_CACERT', 'VAULT_CACERT');
    }),
  ];
}

const setBy = (setting: Setting, text = setting.value): Finding =>
  ok(`${text}, set by ${titleOf(setting)}`);

const rowIfSet = (
  isSet: Setting | undefined,
  name: string,
  checked: () => Setting | undefined,
): [string, () => Finding][] =>
  isSet === undefined ? [] : [[name, () => setBy(checked() ?? isSet)]];
