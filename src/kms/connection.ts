/** A client of AWS KMS: how it finds the service and its credentials, and how long it waits. */
import { KMSClient } from '@aws-sdk/client-kms';
import { loadSharedConfigFiles } from '@smithy/core/config';

import { KmsPocError, usageError } from '../errors.ts';
import type { Events } from '../events.ts';
import { isKeyArn } from '../formats/kms-arn.ts';
import { type KmsCall, mapCredentialsError, mapKmsError, missingRegion } from './errors.ts';

export interface KmsOptions {
  /** Undefined: as the AWS SDK finds it (environment, then profile). */
  readonly region: string | undefined;
  readonly profile: string | undefined;
  readonly endpoint: string | undefined;
  /** Undefined: the AWS SDK's default chain. */
  readonly credentials:
    { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
  readonly events: Pick<Events, 'request'>;
}

// A KMS call takes well under a second. With the SDK's three attempts, an endpoint that stays
// silent is given up on after some 16 seconds; by default the SDK would wait for ever.
const connectionTimeoutMs = 3000;
const requestTimeoutMs = 5000;
/** For all attempts together, however many the AWS configuration allows. */
const deadlineMs = 20_000;

/** The SDK writes warnings to the console unless it is given a logger that doesn't. */
const ignore = (): void => undefined;
const silent = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };

/** How each AWS client here finds the service and its credentials, and how long it waits. */
export const clientConfig = (options: KmsOptions) => ({
  logger: silent,
  requestHandler: {
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs, // until a response begins
    throwOnRequestTimeout: true,
    socketTimeout: requestTimeoutMs, // until more of it arrives
  },
  ...(options.region !== undefined && { region: options.region }),
  ...(options.profile !== undefined && { profile: options.profile }),
  ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
  ...(options.credentials !== undefined && { credentials: options.credentials }),
});

/** Reports where a client's requests go, before they are sent. */
export function watch(
  service: 'kms' | 'sts',
  stack: KMSClient['middlewareStack'],
  { events }: KmsOptions,
): void {
  stack.add(
    (next) => (args) => {
      events.request(service, (args.request as { hostname: string }).hostname);
      return next(args);
    },
    { step: 'finalizeRequest', name: 'announceHost' },
  );
}

/** For each call, including all its attempts. */
export const callOptions = (): { abortSignal: AbortSignal } => ({
  abortSignal: AbortSignal.timeout(deadlineMs),
});

/**
 * A client of KMS, and a way to call it that turns every error into ours and checks that every
 * response is about the right key.
 */
interface KmsConnection {
  readonly client: KMSClient;
  readonly region: string;
  /** @param request makes the call, and returns the response with the key that it is about */
  readonly send: <Answer extends { KeyId?: string | undefined }>(
    operation: KmsCall['operation'],
    input: KeyAndContext,
    request: (options: { abortSignal: AbortSignal }) => Promise<Answer>,
    newKeyId?: string,
  ) => Promise<Answer & { KeyId: string }>;
}

/** Named as in the KMS API. */
export interface KeyAndContext {
  KeyId: string;
  EncryptionContext?: Record<string, string>;
}

/** @throws KmsPocError Usage, for a profile or Region that does not exist */
export async function openConnection(options: KmsOptions): Promise<KmsConnection> {
  if (options.profile !== undefined) await checkProfile(options.profile);
  const client = new KMSClient(clientConfig(options));
  watch('kms', client.middlewareStack, options);
  const region = await client.config.region().catch((error: unknown) => {
    throw missingRegion(options.region, error);
  });
  return {
    client,
    region,
    send: async (operation, { KeyId: keyId, EncryptionContext: context }, request, newKeyId) => {
      const call: KmsCall = { operation, keyId, newKeyId, region, user: context?.user };
      await client.config.credentials().catch((error: unknown) => {
        throw mapCredentialsError(error, call);
      });
      try {
        const answer = await request(callOptions());
        return { ...answer, KeyId: checkKey(keyId, answer.KeyId) };
      } catch (error) {
        throw mapKmsError(error, call);
      }
    },
  };
}

/**
 * If the requested profile doesn't exist, the SDK would search on (environment, instance role …),
 * and then fail with an error about credentials, or find another identity.
 */
export async function checkProfile(profile: string): Promise<void> {
  const { configFile, credentialsFile } = await loadSharedConfigFiles();
  if (configFile[profile] === undefined && credentialsFile[profile] === undefined) {
    throw usageError(
      `There is no AWS profile ${profile}.`,
      'To see the profiles you have, run: aws configure list-profiles',
    );
  }
}

/**
 * If an endpoint encrypted with a key other than the one it was asked for, nobody would notice
 * until the day the message has to be opened. An alias can't be checked: only KMS knows where it
 * points.
 */
export function checkKey(keyId: string, keyArn: string | undefined): string {
  if (keyArn === undefined) throw noSense('no key');
  const isSame = isKeyArn(keyId) ? keyArn === keyId : keyArn.endsWith(`:key/${keyId}`);
  const isAlias = keyId.startsWith('alias/') || keyId.includes(':alias/');
  if (!isAlias && !isSame) throw noSense(`the key ${keyArn} instead of ${keyId}`);
  return keyArn;
}

export const noSense = (what: string): KmsPocError =>
  new KmsPocError(
    'Unexpected',
    `AWS KMS returned ${what}.`,
    'Something other than KMS may have answered: check AWS_ENDPOINT_URL.',
  );
