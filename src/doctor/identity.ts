/** Who am I, for each role? */
import { KmsPocError } from '../errors.ts';
import { type Check, check, skipped, ok } from './check.ts';
import type { RoleAccess, Subject } from './subject.ts';

/** At once: the two may wait for the same service that does not answer. */
export const checkIdentities = ({ encryptor, decryptor }: Subject): Promise<Check[]> =>
  Promise.all([encryptor, decryptor].map(checkIdentity));

const checkIdentity = ({ role, identity }: RoleAccess): Promise<Check> =>
  check('identity', role, async () => {
    try {
      return ok(await identity());
    } catch (error) {
      // Messages need KMS and not STS: only what KMS would say, too, is wrong.
      if (!(error instanceof KmsPocError) || isAlsoForKms(error)) throw error;
      return skipped(error.message);
    }
  });

const isAlsoForKms = ({ code }: KmsPocError): boolean => code === 'Credentials' || code === 'Usage';
