/** A client of AWS KMS: how it finds the service and its credentials, and how long it waits. */
import { KMSClient } from '@aws-sdk/client-kms';
import { loadSharedConfigFiles } from '@smithy/core/config';

import { KmsPocError, usageError } from '../errors.ts';
import type { AwsService } from '../events.ts';
import { isKeyArn } from '../formats/kms-arn.ts';
import { findCredentials } from './credentials.ts';
import { type KmsCall, mapKmsError, missingRegion } from './errors.ts';
import type { KmsOptions } from './options.ts';
import { collectAnswer, withDeadline } from './transport.ts';

// A KMS call takes well under a second. With the SDK's three attempts, an endpoint that stays
// silent is given up on after some 16 seconds; by default the SDK would wait for ever.
const connectionTimeoutMs = 3000;
const requestTimeoutMs = 5000;
/** The SDK writes warnings to the console unless it is given a logger that does not. */
const ignore = (): void => undefined;
const silent = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };

/** How each AWS client here finds the service and its credentials, and how long it waits. */
const clientConfig = (options: KmsOptions) => ({
  logger: silent,
  requestHandler: {
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs, // until a response begins
    throwOnRequestTimeout: true,
    socketTimeout: requestTimeoutMs, // until more of it arrives
  },
  streamCollector: (body: unknown) => collectAnswer(body as AsyncIterable<Uint8Array>),
  ...(options.region !== undefined && { region: options.region }),
  ...(options.profile !== undefined && { profile: options.profile }),
  ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
  ...(options.credentials !== undefined && { credentials: options.credentials }),
});

/** What the clients of all services have in common. */
interface AnyClient {
  readonly config: {
    readonly region: () => Promise<string>;
    readonly credentials: () => Promise<unknown>;
    readonly serviceConfiguredEndpoint?: (() => Promise<string | undefined>) | undefined;
  };
}

/**
 * Makes a client, and finds out where its requests go before there is one.
 *
 * @returns the client, and its Region
 * @throws KmsPocError Usage, for a profile or Region that is not there
 */
export async function openClient<Client extends AnyClient>(
  service: AwsService,
  options: KmsOptions,
  create: (config: ReturnType<typeof clientConfig>) => Client,
): Promise<{ readonly client: Client; readonly region: string }> {
  const { region, profile, endpoint, events } = options;
  const client = create(clientConfig(options));
  if (profile !== undefined) await checkProfile(profile);
  const found = await client.config.region().catch((error: unknown) => {
    throw missingRegion(service, region, error);
  });
  const url = endpoint ?? (await client.config.serviceConfiguredEndpoint?.());
  if (url !== undefined && URL.canParse(url)) events.endpoint(service, new URL(url));
  return { client, region: found };
}

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
  const { client, region } = await openClient('kms', options, (config) => new KMSClient(config));
  return {
    client,
    region,
    send: async (operation, { KeyId: keyId, EncryptionContext: context }, request, newKeyId) => {
      const call: KmsCall = { operation, keyId, newKeyId, region, user: context?.user };
      await findCredentials(client, options, operation);
      return options.patience.ask(`AWS KMS in ${region}`, async () => {
        try {
          const answer = await withDeadline(request);
          return { ...answer, KeyId: checkKey(keyId, answer.KeyId) };
        } catch (error) {
          throw mapKmsError(error, call);
        }
      });
    },
  };
}

/**
 * If the requested profile doesn't exist, the SDK would search on (environment, instance role …),
 * and then fail with an error about credentials, or find another identity.
 */
async function checkProfile(profile: string): Promise<void> {
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
  // Whatever answered, the SDK passes on what it said.
  if (typeof keyArn !== 'string') throw noSense('no key');
  const isSame = isKeyArn(keyId) ? keyArn === keyId : keyArn.endsWith(`:key/${keyId}`);
  const isAlias = keyId.startsWith('alias/') || keyId.includes(':alias/');
  if (!isAlias && !isSame) {
    const shown = keyArn.slice(0, maxShownCharacters).replace(/[^\x20-\x7e]/g, '?');
    throw noSense(`the key ${shown} instead of ${keyId}`);
  }
  return keyArn;
}

/** The ARN of a key has 75 or so. */
const maxShownCharacters = 128;

export const noSense = (what: string): KmsPocError =>
  new KmsPocError(
    'Unavailable',
    `AWS KMS returned ${what}.`,
    'Something other than KMS may have answered: check AWS_ENDPOINT_URL.',
  );
