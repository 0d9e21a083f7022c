/** How Vault is reached. Loaded only for a run with a Vault key. */
import { KmsPocError, reasonOf, systemCode, usageError } from '../errors.ts';
import type { Events } from '../events.ts';
import { toUtf8 } from '../formats/text.ts';
import type { Patience } from '../kms/patience.ts';
import { readSmallFile } from '../streams/small-file.ts';
import { connectVault, type Vault } from '../vault/vault.ts';
import type { Settings } from './settings.ts';
import {
  vaultAddress,
  vaultCertificateFile,
  vaultNamespace,
  vaultToken,
} from './vault-settings.ts';

/** The part of `Access` that it takes (key-sources.ts). */
interface Sources {
  readonly settings: Settings;
  readonly events: Events;
  readonly patience: Patience;
}

/** @throws KmsPocError Usage */
export async function connect({ settings, events, patience }: Sources): Promise<Vault> {
  const address = vaultAddress(settings);
  const certificateFile = vaultCertificateFile(settings);
  const found = vaultToken(settings);
  return connectVault({
    address: new URL(address.value),
    namespace: vaultNamespace(settings)?.value,
    certificates:
      certificateFile === undefined ? undefined : await readCertificates(certificateFile),
    token: 'file' in found ? await readToken(found.file, events.keyFile) : found.token.value.trim(),
    events,
    patience,
  });
}

async function readCertificates(file: string): Promise<Uint8Array> {
  try {
    const { bytes } = await readSmallFile(file);
    if (bytes.includes('-----BEGIN CERTIFICATE-----')) return bytes;
  } catch (cause) {
    throw usageError(
      `Can't read the certificates ${file}: ${reasonOf(cause)}.`,
      'Check BAO_CACERT or VAULT_CACERT.',
      { cause },
    );
  }
  throw usageError(
    `${file} holds no certificate in PEM format.`,
    'It starts with -----BEGIN CERTIFICATE-----. Check BAO_CACERT or VAULT_CACERT.',
  );
}

/** @returns undefined if there is none: an agent may have one */
async function readToken(
  file: string | undefined,
  onKeyFile: Events['keyFile'],
): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    const { bytes, stat } = await readSmallFile(file);
    onKeyFile(file, stat, true);
    const token = toUtf8(bytes)?.toString('utf8').trim();
    return token === '' ? undefined : token;
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw new KmsPocError(
      'Credentials',
      `Can't read the Vault token in ${file}: ${reasonOf(cause)}.`,
      'Log in again (bao login, vault login), or set BAO_TOKEN or VAULT_TOKEN.',
      { cause },
    );
  }
}
