/** Errors on the way to Vault, which are never its own word. */
import { KmsPocError } from '../errors.ts';
import { isTlsError } from '../kms/transport.ts';
import { nothingLikeVault, tryAgain, type VaultCall, where } from './errors.ts';

const checkReachable = (): string => 'Check the network, and BAO_ADDR or VAULT_ADDR.';

/** Node's code, and what to say. */
const rows: readonly {
  readonly codes: readonly string[];
  readonly message: (call: VaultCall) => string;
  readonly hint: () => string;
}[] = [
  {
    codes: ['ECONNREFUSED'],
    message: (call) => `${where(call)} refused the connection`,
    hint: checkReachable,
  },
  {
    codes: ['ECONNRESET', 'EPIPE', 'ECONNABORTED'],
    message: (call) => `The connection to ${where(call)} was lost`,
    hint: tryAgain,
  },
  {
    codes: ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA'],
    message: ({ host }) => `The host name of Vault at ${host} can't be resolved`,
    hint: checkReachable,
  },
  {
    codes: ['ETIMEDOUT', 'ABORT_ERR', 'EHOSTUNREACH', 'ENETUNREACH'],
    message: (call) => `${where(call)} did not answer in time`,
    hint: checkReachable,
  },
];

/** What is not Vault's own word is trouble on the way to it. */
export function mapVaultError(error: unknown, call: VaultCall): KmsPocError {
  if (error instanceof KmsPocError) return error;
  const { code = 'Error' } = error as { code?: string };
  const row = rows.find(({ codes }) => codes.includes(code));
  if (row !== undefined) {
    const message = `${row.message(call)} (${code}).`;
    return new KmsPocError('Unavailable', message, row.hint(), { cause: error });
  }
  if (code === 'ERR_INVALID_CHAR') {
    return new KmsPocError(
      'Credentials',
      `The Vault token or namespace contains an invalid character (${code}).`,
      'Check BAO_TOKEN, VAULT_TOKEN or ~/.vault-token, perhaps for a line break.',
      { cause: error },
    );
  }
  if (isTlsError(code)) {
    return new KmsPocError(
      'Unavailable',
      `The connection to ${where(call)} is not secure, so nothing was sent (${code}).`,
      'If it has its own certificate authority, name its certificate in BAO_CACERT or VAULT_CACERT. If it has no TLS, the address begins with http://.',
      { cause: error },
    );
  }
  return new KmsPocError(
    'Unavailable',
    `${where(call)} could not be asked (${code}).`,
    nothingLikeVault,
    { cause: error },
  );
}
