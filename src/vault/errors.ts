/**
 * The one place where errors of Vault become ours; those of the connection are in connection-errors.ts. Vault has no names for
 * its errors: there are an HTTP status and a text, so a row has both. Each was tried with OpenBao 2.7.2.
 */
import { type ErrorCode, KmsPocError } from '../errors.ts';

/** What was being done, for the message. */
export interface VaultCall {
  readonly operation: 'encrypt' | 'decrypt' | 'look up';
  /** MOUNT/NAME; for a question about the token itself, what is asked. */
  readonly key: string;
  /** What the token needs for it, as a policy names it. */
  readonly permission: string;
  readonly user?: string | undefined;
  readonly host: string;
  readonly namespace: string | undefined;
  readonly hasToken: boolean;
}

export interface VaultResponse {
  readonly status: number;
  /** Undefined for a body that is no JSON. */
  readonly json: unknown;
}

interface Row {
  readonly code: ErrorCode;
  readonly status: readonly number[];
  /** What the answer says; its match is shown. Without it, any answer with this status. */
  readonly says?: RegExp;
  readonly if?: (call: VaultCall) => boolean;
  readonly message: (call: VaultCall) => string;
  readonly hint: (call: VaultCall) => string;
}

export const where = ({ host, namespace }: VaultCall): string =>
  `Vault at ${host}${namespace === undefined ? '' : `, namespace ${namespace}`}`;
const mountOf = ({ key }: VaultCall): string => key.slice(0, key.lastIndexOf('/') + 1);
/** Of a key on the command line of Vault and OpenBao. */
const keyPath = ({ key }: VaultCall): string =>
  `${key.slice(0, key.lastIndexOf('/'))}/keys${key.slice(key.lastIndexOf('/'))}`;
const cannotDecrypt = ({ user }: VaultCall): string =>
  `This message can't be decrypted for ${user ?? 'anyone'}`;
export const tryAgain = (): string => 'Try again in a moment.';
const useSymmetric = (): string =>
  'Use a key of type aes256-gcm96 or chacha20-poly1305. To encrypt for an RSA key, save its public key in a file and use rsa:FILE (docs/vault.md).';

const rows: readonly Row[] = [
  {
    code: 'CannotDecrypt',
    status: [400],
    says: /message authentication failed/,
    message: cannotDecrypt,
    hint: (call) =>
      `It was encrypted for another user, or with a key of the same name on another server or in another namespace (this is ${where(call)}), or it was changed.`,
  },
  {
    code: 'CannotDecrypt',
    status: [400],
    says: /invalid ciphertext[ \w:]*/,
    message: cannotDecrypt,
    hint: (call) =>
      `It was changed, or its key is one of the same name on another server or in another namespace (this is ${where(call)}), or that key was restored from an old backup.`,
  },
  {
    // A status that looks like an outage.
    code: 'CannotDecrypt',
    status: [500],
    says: /failed to RSA decrypt the ciphertext/,
    message: cannotDecrypt,
    hint: () => 'Its RSA data key was changed or damaged. Copy all of it again.',
  },
  {
    code: 'KeyUnusable',
    status: [400],
    says: /too old/,
    message: ({ key }) =>
      `The key ${key} no longer opens this message: its version is below min_decryption_version`,
    hint: (call) =>
      `An administrator can lower that, as long as the version was not trimmed: bao write ${keyPath(call)}/config min_decryption_version=1`,
  },
  {
    code: 'KeyNotFound',
    status: [400],
    // "unknown key type none": we ask for none, so that no key is made by a mistyped name.
    says: /encryption key not found|unknown key type none/,
    message: (call) => `There is no key ${call.key} on ${where(call)}`,
    hint: (call) =>
      `Check the name and BAO_NAMESPACE or VAULT_NAMESPACE. To make it: bao write -f ${keyPath(call)}`,
  },
  {
    code: 'KeyUnusable',
    status: [400],
    says: /non-AEAD cipher suite [\w-]+/,
    message: ({ key, operation }) => `The key ${key} can't ${operation} messages for a user`,
    hint: useSymmetric,
  },
  {
    code: 'KeyUnusable',
    status: [400],
    says: /missing 'context' for key derivation/,
    message: ({ key }) => `The key ${key} is a derived key, which is not supported`,
    hint: (call) => `Use another key, made without derived=true, such as ${keyPath(call)}-2.`,
  },
  {
    code: 'Credentials',
    status: [400, 403],
    if: ({ hasToken }) => !hasToken,
    says: /permission denied|missing client token|invalid token/,
    message: (call) => `${where(call)} requires a token, and none was found`,
    hint: () =>
      'Log in (bao login, vault login), set BAO_TOKEN or VAULT_TOKEN, or use the address of an agent that logs in by itself.',
  },
  {
    // Vault says so from 1.13 on; OpenBao never does.
    code: 'Credentials',
    status: [403],
    says: /invalid token/,
    message: (call) => `${where(call)} does not know this token, or it has expired`,
    hint: () => 'Log in again (bao login, vault login), or renew BAO_TOKEN or VAULT_TOKEN.',
  },
  {
    code: 'AccessDenied',
    status: [403],
    message: (call) =>
      call.operation === 'look up'
        ? `The Vault token is not allowed to look up ${call.key}`
        : `The Vault token is not allowed to ${call.operation} with ${call.key} for ${call.user ?? 'this user'}`,
    hint: ({ permission }) =>
      `Either its policy lacks ${permission}, perhaps for this user alone, or the token has expired, or belongs to another server or namespace: bao token lookup`,
  },
  {
    code: 'KeyNotFound',
    status: [404],
    says: /namespace not found/,
    message: ({ host, namespace }) =>
      `There is no namespace ${namespace ?? ''} on Vault at ${host}`,
    hint: () => 'Check BAO_NAMESPACE or VAULT_NAMESPACE.',
  },
  {
    code: 'KeyNotFound',
    status: [404, 405],
    says: /route entry not found|no handler for route|unsupported (?:path|operation)/,
    message: (call) => `There is no transit engine at ${mountOf(call)} on ${where(call)}`,
    hint: () =>
      'Check the mount (vault:MOUNT/NAME) and BAO_NAMESPACE or VAULT_NAMESPACE. To make one: bao secrets enable transit',
  },
  {
    code: 'Throttled',
    status: [429],
    message: (call) => `${where(call)} is throttling requests`,
    hint: () => 'Wait a moment and try again, or raise its rate limit (sys/quotas/rate-limit).',
  },
  {
    code: 'Unavailable',
    status: [503],
    says: /Vault is sealed/,
    message: (call) => `${where(call)} can't answer`,
    hint: () => 'An administrator has to unseal it: bao operator unseal',
  },
  {
    code: 'Unavailable',
    status: [301, 302, 303, 307, 308],
    message: (call) => `${where(call)} redirects to another server, and redirects are not followed`,
    hint: () => 'Set BAO_ADDR or VAULT_ADDR to the active server, or to the load balancer.',
  },
];

export const nothingLikeVault =
  'Something other than Vault may have answered: check the network and BAO_ADDR or VAULT_ADDR.';

/** @param response that is no success with data */
export function mapVaultResponse({ status, json }: VaultResponse, call: VaultCall): KmsPocError {
  const errors = errorsOf(json);
  const text = errors?.join(' ') ?? '';
  for (const row of errors === undefined ? rows.filter(isForAnyBody) : rows) {
    if (!row.status.includes(status) || row.if?.(call) === false) continue;
    const says = row.says?.exec(text)?.[0];
    if (row.says !== undefined && says === undefined) continue;
    const name = says === undefined ? `HTTP ${status}` : `HTTP ${status}: ${says}`;
    return new KmsPocError(row.code, `${row.message(call)} (${name}).`, row.hint(call));
  }
  if (errors === undefined) {
    return new KmsPocError(
      'Unavailable',
      `${where(call)} sent an unexpected response (HTTP ${status}).`,
      status === 400
        ? 'If the server uses TLS, the address must begin with https://: check BAO_ADDR or VAULT_ADDR.'
        : nothingLikeVault,
    );
  }
  // The answer to a look-up of what is not there has no text.
  if (status === 404) {
    return new KmsPocError(
      'KeyNotFound',
      `There is no key ${call.key} on ${where(call)} (HTTP 404).`,
      `Check the name and BAO_NAMESPACE or VAULT_NAMESPACE. To make it: bao write -f ${keyPath(call)}`,
    );
  }
  return new KmsPocError(
    status >= 500 ? 'Unavailable' : 'Unexpected',
    `${where(call)} returned an unknown error (HTTP ${status}).`,
    status >= 500 ? tryAgain() : "The server's log and its audit log say more.",
  );
}

/** Whoever sent it, a redirect or a limit means the same. */
const isForAnyBody = ({ code, says }: Row): boolean =>
  says === undefined && code !== 'AccessDenied';

/** Vault's errors are `{"errors": […]}`, and nothing else is one. */
function errorsOf(json: unknown): string[] | undefined {
  const { errors } = (json ?? {}) as { errors?: unknown };
  return Array.isArray(errors) ? errors.filter((each) => typeof each === 'string') : undefined;
}
