/**
 * The transit engine of HashiCorp Vault and OpenBao, as far as data keys need it.
 * https://openbao.org/api-docs/secret/transit/
 */
import { createPublicKey } from 'node:crypto';

import { rsaFingerprint } from '../formats/rsa-fingerprint.ts';
import { asBuffer } from '../streams/byte-stream.ts';
import { noSense, openVaultClient } from './client.ts';
import type { VaultOptions } from './options.ts';

/** A key as it is named in `vault:MOUNT/NAME`. */
export interface VaultKeyName {
  readonly mount: string;
  readonly name: string;
}

export interface Vault {
  /**
   * @param associatedData without which the same key does not open it
   * @returns Vault's own text, such as `vault:v1:…`
   * @throws KmsPocError, see errors.ts
   */
  encrypt(
    key: VaultKeyName,
    user: string | undefined,
    plaintext: Uint8Array,
    associatedData: Uint8Array,
  ): Promise<string>;
  /**
   * @param ciphertext Vault's own text
   * @param associatedData undefined for an RSA key, which binds none
   * @throws KmsPocError, see errors.ts
   */
  decrypt(
    key: VaultKeyName,
    user: string | undefined,
    ciphertext: string,
    associatedData: Uint8Array | undefined,
  ): Promise<Uint8Array>;
  /** @throws KmsPocError, see errors.ts */
  describe(key: VaultKeyName): Promise<VaultKeyState>;
  /** The token's own properties. @throws KmsPocError, see errors.ts */
  lookUpToken(): Promise<VaultToken>;
  /**
   * What the token may do, for each path: `update`, `deny` …
   *
   * @throws KmsPocError, see errors.ts
   */
  capabilities(paths: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
}

export interface VaultKeyState {
  /** As Vault calls it, such as `aes256-gcm96`. */
  readonly type: string;
  readonly latestVersion: number;
  readonly minDecryptionVersion: number;
  readonly isDerived: boolean;
  /** Whether it can be deleted, or its material exported, by who may configure it. */
  readonly isDeletable: boolean;
  readonly isExportable: boolean;
  /** Of an RSA key: the fingerprint of each version's public key, with that version and the key in PEM. */
  readonly publicKeys: ReadonlyMap<string, { readonly version: number; readonly pem: string }>;
}

interface VaultToken {
  readonly name: string;
  readonly policies: readonly string[];
  /** 0 for a token that never expires. */
  readonly secondsLeft: number;
}

/** Opens no connection yet; the address is announced. */
export function connectVault(options: VaultOptions): Vault {
  const send = openVaultClient(options);
  const transform = (
    operation: 'encrypt' | 'decrypt',
    { mount, name }: VaultKeyName,
    user: string | undefined,
    body: Readonly<Record<string, unknown>>,
  ): ReturnType<typeof send> => {
    const path = `${mount}/${operation}/${name}`;
    const call = { operation, key: `${mount}/${name}`, permission: `update on ${path}`, user };
    return send({ method: 'POST', path, body, call });
  };
  return {
    encrypt: async (key, user, plaintext, associatedData) => {
      const { ciphertext } = await transform('encrypt', key, user, {
        plaintext: base64Of(plaintext),
        associated_data: base64Of(associatedData),
        // Otherwise a mistyped name makes a key, if the token may.
        type: 'none',
      });
      if (isVaultCiphertext(ciphertext)) return ciphertext;
      throw noSense('no ciphertext');
    },
    decrypt: async (key, user, ciphertext, associatedData) => {
      const { plaintext } = await transform('decrypt', key, user, {
        ciphertext,
        ...(associatedData !== undefined && { associated_data: base64Of(associatedData) }),
      });
      if (typeof plaintext !== 'string') throw noSense('no plaintext');
      return Buffer.from(plaintext, 'base64');
    },
    describe: async ({ mount, name }) => {
      const path = `${mount}/keys/${name}`;
      const data = await send({
        method: 'GET',
        path,
        call: { operation: 'look up', key: `${mount}/${name}`, permission: `read on ${path}` },
      });
      if (typeof data.type !== 'string') throw noSense('no key');
      return {
        type: data.type,
        latestVersion: Number(data.latest_version),
        minDecryptionVersion: Number(data.min_decryption_version),
        isDerived: data.derived === true,
        isDeletable: data.deletion_allowed === true,
        isExportable: data.exportable === true || data.allow_plaintext_backup === true,
        publicKeys: data.type.startsWith('rsa-') ? publicKeysOf(data.keys) : new Map(),
      };
    },
    lookUpToken: async () => {
      const path = 'auth/token/lookup-self';
      const call = { operation: 'look up', key: 'itself', permission: `read on ${path}` } as const;
      const data = await send({ method: 'GET', path, call });
      return {
        name: String(data.display_name),
        policies: Array.isArray(data.policies) ? data.policies.map(String) : [],
        secondsLeft: Number(data.ttl),
      };
    },
    capabilities: async (paths) => {
      const path = 'sys/capabilities-self';
      const call = {
        operation: 'look up',
        key: 'its own permissions',
        permission: `update on ${path}`,
      } as const;
      const data = await send({ method: 'POST', path, body: { paths }, call });
      return new Map(
        paths.map((each) => {
          const found = data[each];
          return [each, Array.isArray(found) ? found.map(String) : []];
        }),
      );
    },
  };
}

/** A header has two bytes for the length of an encrypted data key. */
const maxCiphertextLength = 0xffff;

/** Whether this is what transit calls a ciphertext: nothing else is sent to it, or kept. */
export const isVaultCiphertext = (text: unknown): text is string =>
  typeof text === 'string' &&
  text.length <= maxCiphertextLength &&
  /^vault:v\d{1,9}:[A-Za-z0-9+/]+={0,2}$/.test(text);

const base64Of = (bytes: Uint8Array): string => asBuffer(bytes).toString('base64');

/** @param keys as `GET keys/NAME` lists them: by version, from min_decryption_version on */
function publicKeysOf(keys: unknown): VaultKeyState['publicKeys'] {
  const found = new Map<string, { version: number; pem: string }>();
  for (const [version, key] of Object.entries(keys ?? {})) {
    const { public_key: pem } = key as { public_key?: unknown };
    if (typeof pem !== 'string') throw noSense('a version without a public key');
    try {
      found.set(rsaFingerprint(createPublicKey(pem)), { version: Number(version), pem });
    } catch {
      throw noSense('a public key that is none');
    }
  }
  return found;
}
