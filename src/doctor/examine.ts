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

/** @throws KmsPocError Interrupted, at a passphrase prompt */
export async function* examine(subject: Subject): AsyncGenerator<Check> {
  yield* checkFiles(subject);
  // Without a KMS key there is nothing to ask AWS.
  if (allKeys(subject).some(({ reference }) => reference.kind === 'aws')) {
    yield* await checkIdentities(subject);
    yield* checkKeys(subject);
  }
  yield* checkRoutes(subject);
}
