/**
 * Requests to HashiCorp Vault or OpenBao: how long one may take, and how much may come back. The API is
 * JSON over HTTP: https://openbao.org/api-docs/
 */
import type { IncomingMessage } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

import { KmsPocError } from '../errors.ts';
import { collectAnswer, withDeadline } from '../kms/transport.ts';
import { mapVaultError } from './connection-errors.ts';
import { mapVaultResponse, type VaultCall, type VaultResponse } from './errors.ts';
import type { VaultOptions } from './options.ts';

// As for KMS (kms/connection.ts): a server that stays silent is given up on after some 16 seconds.
const silenceMs = 5000;
const maxAttempts = 3;
/** Before the second attempt; twice as long before the third. */
const pauseMs = 100;
/** Of a server that asks for fewer requests. */
const throttledPauseMs = 500;

interface VaultRequest {
  readonly method: 'GET' | 'POST';
  /** After `/v1/`. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
  /** For errors. */
  readonly call: Omit<VaultCall, 'host' | 'namespace' | 'hasToken'>;
}

/** @returns the `data` of an answer; an error of a kind that may pass was asked again */
type SendToVault = (request: VaultRequest) => Promise<Readonly<Record<string, unknown>>>;

/** The address is announced before the first request. */
export function openVaultClient(options: VaultOptions): SendToVault {
  const { address, token, namespace, events, patience } = options;
  events.endpoint('vault', address);
  return async (request) => {
    const call = { ...request.call, host: address.host, namespace, hasToken: token !== undefined };
    const attempts = async (signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> => {
      for (let attempt = 1; ; attempt++) {
        try {
          return dataOf(await attemptOnce(options, request, signal), call);
        } catch (cause) {
          // An answer that had begun ends as a lost connection then.
          const error = mapVaultError(signal.aborted ? silence() : cause, call);
          const mayPass = error.code === 'Unavailable' || error.code === 'Throttled';
          if (!mayPass || attempt === maxAttempts || signal.aborted) throw error;
          await pause(error.code === 'Throttled' ? throttledPauseMs : pauseMs * attempt);
        }
      }
    };
    return patience.ask(`Vault at ${address.host}`, () =>
      withDeadline(({ abortSignal }) => attempts(abortSignal)),
    );
  };
}

/** @throws KmsPocError, for all but an answer with data */
function dataOf(response: VaultResponse, call: VaultCall): Readonly<Record<string, unknown>> {
  const { status, json } = response;
  const data = status === 200 && isObject(json) ? json.data : undefined;
  if (isObject(data)) return data;
  throw mapVaultResponse(response, call);
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** A redirect is an answer like any other: a token goes nowhere but where the settings say. */
async function attemptOnce(
  { address, token, namespace, certificates }: VaultOptions,
  { method, path, body }: VaultRequest,
  signal: AbortSignal,
): Promise<VaultResponse> {
  const { request } = await (address.protocol === 'https:'
    ? import('node:https')
    : import('node:http'));
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request(
      new URL(`${address.pathname.replace(/\/+$/, '')}/v1/${path}`, address),
      {
        method,
        signal,
        timeout: silenceMs,
        headers: {
          'content-type': 'application/json',
          'x-vault-request': 'true', // an agent can be set to want it
          ...(token !== undefined && { 'x-vault-token': token }),
          ...(namespace !== undefined && { 'x-vault-namespace': namespace }),
        },
        ...(certificates !== undefined && { ca: Buffer.from(certificates) }),
      },
      resolve,
    );
    outgoing.on('timeout', () => outgoing.destroy(silence()));
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
  return {
    status: response.statusCode ?? 0,
    json: parse((await collectAnswer(response)).toString('utf8')),
  };
}

const silence = (): Error => Object.assign(new Error('Vault is silent.'), { code: 'ETIMEDOUT' });

/** @returns undefined for what is no JSON, as the answer of anything but Vault */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** For a field of an answer that must be there. */
export const noSense = (what: string): KmsPocError =>
  new KmsPocError(
    'Unavailable',
    `Vault returned ${what}.`,
    'Something other than a transit engine may have answered: check the mount in vault:MOUNT/NAME, and BAO_ADDR or VAULT_ADDR.',
  );
