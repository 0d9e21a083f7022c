/**
 * From a set-up to an answer to each question about it, as it comes. Nothing here writes a file or makes
 * a key.
 */
import type { Check } from './check.ts';
import { checkFiles } from './files.ts';
import { checkIdentities } from './identity.ts';
import { checkKeys } from './keys.ts';
import { checkRoutes } from './routes.ts';
import { allKeys, type Subject } from './subject.ts';

/** @throws KmsPocError Interrupted, at a passphrase */
export async function* examine(subject: Subject): AsyncGenerator<Check> {
  yield* checkFiles(subject);
  // Without a key of KMS nobody asks AWS anything.
  if (allKeys(subject).some(({ reference }) => reference.kind === 'aws')) {
    yield* await checkIdentities(subject);
    yield* checkKeys(subject);
  }
  yield* checkRoutes(subject);
}
