/**
 * Runs every check on a setup and yields each result as soon as it is known. Nothing here writes a
 * file or creates a key.
 */
import type { Check } from './check.ts';
import { checkFiles } from './files.ts';
import { checkIdentities } from './identity.ts';
import { checkKeys } from './keys.ts';
import { checkRoutes } from './routes.ts';
import { allKeys, type Subject } from './subject.ts';
import { checkVaultKeys, checkVaultToken } from './vault.ts';

/** @throws KmsPocError Interrupted, at a passphrase prompt */
export async function* examine(subject: Subject): AsyncGenerator<Check> {
  yield* checkFiles(subject);
  const kinds = new Set(allKeys(subject).map(({ reference }) => reference.kind));
  // Without a KMS key there is nothing to ask AWS, and without a Vault key nothing to ask Vault.
  if (kinds.has('aws')) yield* await checkIdentities(subject);
  if (kinds.has('vault')) yield await checkVaultToken(subject);
  if (kinds.has('aws')) yield* checkKeys(subject);
  if (kinds.has('vault')) yield* checkVaultKeys(subject);
  yield* checkRoutes(subject);
}
