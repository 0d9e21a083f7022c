/** RSA key files for tests. */
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RsaPair {
  publicFile: string;
  /** PKCS#8, mode 0600. */
  privateFile: string;
  publicKey: KeyObject;
  privateKey: KeyObject;
  /** The name that headers use for it. */
  fingerprint: string;
}

/** Writes a new key pair as `NAME-public.pem` and `NAME-private.pem`. */
export function makeRsaPair(folder: string, name: string, modulusLength = 3072): RsaPair {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength });
  const publicFile = join(folder, `${name}-public.pem`);
  const privateFile = join(folder, `${name}-private.pem`);
  writeFileSync(publicFile, publicKey.export({ type: 'spki', format: 'pem' }));
  writePrivate(privateFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const fingerprint = createHash('sha256').update(der).digest('hex').slice(0, 32);
  return { publicFile, privateFile, publicKey, privateKey, fingerprint };
}

export function writePrivate(file: string, content: string | Buffer): void {
  writeFileSync(file, content, { mode: 0o600 });
}
