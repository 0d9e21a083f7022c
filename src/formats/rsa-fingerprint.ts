import { createHash, type KeyObject } from 'node:crypto';

/**
 * A hash of the public key in DER (SubjectPublicKeyInfo), so that other tools can compute it too.
 *
 * @returns 32 hex digits
 */
export const rsaFingerprint = (publicKey: KeyObject): string =>
  createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 32);
