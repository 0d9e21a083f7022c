/** A transit key of Vault: encrypting and decrypting take the same. */
import type { WrappingKey } from '../envelope/wrapping-key.ts';
import type { VaultKeyReference } from './key-reference.ts';
import type { KeySources } from './key-sources.ts';

/**
 * Makes no call yet.
 *
 * @throws KmsPocError Usage, for settings that are wrong
 */
export async function wrapWithVaultKey(
  reference: VaultKeyReference,
  sources: KeySources,
): Promise<WrappingKey> {
  const [vault, { vaultWrappingKey }] = await Promise.all([
    sources.connectVault(),
    import('../envelope/vault-wrapping-key.ts'),
  ]);
  return vaultWrappingKey(vault, reference);
}
