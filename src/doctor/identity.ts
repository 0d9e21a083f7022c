/** Finds out who each role is. */
import { KmsPocError } from '../errors.ts';
import { type Check, check, skipped, ok } from './check.ts';
import type { RoleAccess, Subject } from './subject.ts';

/** In parallel, because both may be waiting for the same service that does not answer. */
export const checkIdentities = ({ encryptor, decryptor }: Subject): Promise<Check[]> =>
  Promise.all([encryptor, decryptor].map(checkIdentity));

const checkIdentity = ({ role, identity }: RoleAccess): Promise<Check> =>
  check('identity', role, async () => {
    try {
      return ok(await identity());
    } catch (error) {
      // Messages need KMS but not STS, so only what KMS would report too counts as wrong.
      if (!(error instanceof KmsPocError) || isAlsoForKms(error)) throw error;
      return skipped(error.message);
    }
  });

const isAlsoForKms = ({ code }: KmsPocError): boolean => code === 'Credentials' || code === 'Usage';
