/**
 * What `kms-doctor` does: a set-up in, an answer to each question about it out, as it comes. It
 * writes no file and makes no key.
 */
import type { Check } from './check.ts';
import { checkClock } from './clock.ts';
import { checkFiles } from './files.ts';
import { checkIdentities } from './identity.ts';
import { checkKeys } from './keys.ts';
import { createPatience } from './patience.ts';
import { checkRoutes } from './routes.ts';
import { allKeys, type Subject } from './subject.ts';

/** @throws KmsPocError Interrupted, at a passphrase */
export async function* examine(subject: Subject): AsyncGenerator<Check> {
  const patience = createPatience();
  yield* checkFiles(subject);
  // Without a key of KMS nobody asks AWS anything.
  if (allKeys(subject).some(({ reference }) => reference.kind === 'aws')) {
    yield* await checkIdentities(subject);
    yield* checkKeys(subject, patience);
    yield await checkClock(subject);
  }
  yield* checkRoutes(subject, patience);
}
