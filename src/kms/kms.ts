/**
 * The small wrapper around AWS KMS that the commands share: a message of up to 4,096 bytes in,
 * base64 out, and back, under the encryption context `{ user }`.
 */
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
  ReEncryptCommand,
} from '@aws-sdk/client-kms';
import { loadSharedConfigFiles } from '@smithy/core/config';

import { KmsPocError, usageError } from '../errors.ts';
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
  /** Told where each request goes, before it goes. */
  readonly onRequest: (host: string) => void;
  /** Told the date that each answer bears, an error's too. */
  readonly onAnswer?: (date: string | undefined) => void;
}

export interface Kms {
  /** Where it is. */
  readonly region: string;
  /**
   * @param plaintext 1 to 4,096 bytes
   * @throws KmsPocError, see kms-errors.ts
   */
  encrypt(
    keyId: string,
    user: string,
    plaintext: Uint8Array,
  ): Promise<{ ciphertextBase64: string; keyArn: string }>;
  /**
   * @param keyId the only key that may open it, as given by the user
   * @throws KmsPocError, see kms-errors.ts
   */
  decrypt(
    keyId: string,
    user: string,
    ciphertextBase64: string,
  ): Promise<{ plaintext: Uint8Array; keyArn: string }>;
  /**
   * Moves a ciphertext to another key, or to the newest material of the same key. The plaintext
   * never leaves KMS.
   *
   * @param keyId the only key that may open it, as given by the user
   * @param newKeyId a key of the same Region
   * @throws KmsPocError, see kms-errors.ts
   */
  reEncrypt(
    keyId: string,
    user: string,
    ciphertextBase64: string,
    newKeyId: string,
  ): Promise<{ ciphertextBase64: string; keyArn: string }>;
  /**
   * Looks up which key an alias or a bare id means. (An ARN of a key is its own answer.)
   *
   * @throws KmsPocError, see kms-errors.ts
   */
  resolveKey(keyId: string): Promise<string>;
  /** The calls with which the AWS Encryption SDK wraps and unwraps data keys. */
  readonly dataKeys: DataKeyCalls;
}

/**
 * In the names of KMS's own API, which the Encryption SDK speaks. Each answer is complete, and of
 * the key that was asked for; each error is a KmsPocError.
 */
export interface DataKeyCalls {
  readonly generateDataKey: (
    input: KeyAndContext & { NumberOfBytes?: number },
  ) => Promise<{ KeyId: string; Plaintext: Uint8Array; CiphertextBlob: Uint8Array }>;
  readonly encrypt: (
    input: KeyAndContext & { Plaintext: Uint8Array },
  ) => Promise<{ KeyId: string; CiphertextBlob: Uint8Array }>;
  readonly decrypt: (
    input: KeyAndContext & { CiphertextBlob: Uint8Array },
  ) => Promise<{ KeyId: string; Plaintext: Uint8Array }>;
}

interface KeyAndContext {
  KeyId: string;
  EncryptionContext?: Record<string, string>;
}

// A KMS call takes well under a second. With the SDK's three attempts a silent endpoint is given up
// after some 16 seconds; its own default would wait for ever.
const connectionTimeoutMs = 3000;
const requestTimeoutMs = 5000;
/** For all attempts together, whatever number of them the AWS configuration says. */
const deadlineMs = 20_000;

/** The SDK writes warnings to the console unless it is given a logger that does not. */
const ignore = (): void => undefined;
const silent = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };

/** How each client of AWS here finds its credentials and its way, and how long it waits. */
export const clientConfig = (options: KmsOptions) => ({
  logger: silent,
  requestHandler: {
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs, // until an answer begins
    throwOnRequestTimeout: true,
    socketTimeout: requestTimeoutMs, // until it goes on
  },
  ...(options.region !== undefined && { region: options.region }),
  ...(options.profile !== undefined && { profile: options.profile }),
  ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
  ...(options.credentials !== undefined && { credentials: options.credentials }),
});

/** Tells where a client's requests go, and the date of its answers. */
export function watch(
  stack: KMSClient['middlewareStack'],
  { onRequest, onAnswer }: KmsOptions,
): void {
  stack.add(
    (next) => (args) => {
      onRequest((args.request as { hostname: string }).hostname);
      return next(args);
    },
    { step: 'finalizeRequest', name: 'announceHost' },
  );
  if (onAnswer === undefined) return;
  stack.add(
    (next) => async (args) => {
      const answer = await next(args);
      onAnswer((answer.response as { headers: Record<string, string> }).headers.date);
      return answer;
    },
    // Next to the connection, where an error is an answer like others.
    { step: 'deserialize', priority: 'low', name: 'noteDate' },
  );
}

/** For each call, all its attempts included. */
export const callOptions = (): { abortSignal: AbortSignal } => ({
  abortSignal: AbortSignal.timeout(deadlineMs),
});

/** A client of KMS, and the way to call it: each error is ours, each answer of the right key. */
export interface KmsConnection {
  readonly client: KMSClient;
  readonly region: string;
  /** @param request makes the call, and gives the answer with the key that it is of */
  readonly send: <Answer extends { KeyId?: string | undefined }>(
    operation: KmsCall['operation'],
    input: KeyAndContext,
    request: (options: { abortSignal: AbortSignal }) => Promise<Answer>,
    newKeyId?: string,
  ) => Promise<Answer & { KeyId: string }>;
}

/** @throws KmsPocError Usage, for a profile or Region that is not there */
export async function openConnection(options: KmsOptions): Promise<KmsConnection> {
  if (options.profile !== undefined) await checkProfile(options.profile);
  const client = new KMSClient(clientConfig(options));
  watch(client.middlewareStack, options);
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

/** @throws KmsPocError Usage, for a profile or Region that is not there */
export async function connectKms(options: KmsOptions): Promise<Kms> {
  const { client, region, send } = await openConnection(options);

  const dataKeys: DataKeyCalls = {
    generateDataKey: async (input) => {
      const { KeyId, Plaintext, CiphertextBlob } = await send('encrypt', input, (options) =>
        client.send(new GenerateDataKeyCommand(input), options),
      );
      return {
        KeyId,
        Plaintext: present(Plaintext, 'data key'),
        CiphertextBlob: present(CiphertextBlob, 'ciphertext'),
      };
    },
    encrypt: async (input) => {
      const { KeyId, CiphertextBlob } = await send('encrypt', input, (options) =>
        client.send(new EncryptCommand(input), options),
      );
      return { KeyId, CiphertextBlob: present(CiphertextBlob, 'ciphertext') };
    },
    decrypt: async (input) => {
      const { KeyId, Plaintext } = await send('decrypt', input, (options) =>
        client.send(new DecryptCommand(input), options),
      );
      return { KeyId, Plaintext: present(Plaintext, 'plaintext') };
    },
  };

  return {
    region,
    async encrypt(keyId, user, plaintext) {
      const { KeyId: keyArn, CiphertextBlob: ciphertext } = await dataKeys.encrypt({
        KeyId: keyId,
        Plaintext: plaintext,
        EncryptionContext: { user },
      });
      return { ciphertextBase64: Buffer.from(ciphertext).toString('base64'), keyArn };
    },

    async decrypt(keyId, user, ciphertextBase64) {
      const { KeyId: keyArn, Plaintext: plaintext } = await dataKeys.decrypt({
        KeyId: keyId,
        CiphertextBlob: Buffer.from(ciphertextBase64, 'base64'),
        EncryptionContext: { user },
      });
      return { plaintext, keyArn };
    },

    async reEncrypt(keyId, user, ciphertextBase64, newKeyId) {
      const context = { user };
      const request = {
        SourceKeyId: keyId,
        SourceEncryptionContext: context,
        CiphertextBlob: Buffer.from(ciphertextBase64, 'base64'),
        DestinationKeyId: newKeyId,
        DestinationEncryptionContext: context,
      };
      const answer = await send(
        're-encrypt',
        { KeyId: keyId, EncryptionContext: context },
        async (options) => {
          const command = new ReEncryptCommand(request);
          const { CiphertextBlob, KeyId, SourceKeyId } = await client.send(command, options);
          return { CiphertextBlob, KeyId: SourceKeyId, newKeyArn: KeyId };
        },
        newKeyId,
      );
      const ciphertext = present(answer.CiphertextBlob, 'ciphertext');
      return {
        ciphertextBase64: Buffer.from(ciphertext).toString('base64'),
        keyArn: checkKey(newKeyId, answer.newKeyArn),
      };
    },

    async resolveKey(keyId) {
      if (isKeyArn(keyId)) return keyId;
      const { KeyId: keyArn } = await send('look up', { KeyId: keyId }, async (options) => {
        const command = new DescribeKeyCommand({ KeyId: keyId });
        const { KeyMetadata: key } = await client.send(command, options);
        return { KeyId: key?.Arn };
      });
      return keyArn;
    },

    dataKeys,
  };
}

/** Neither a plaintext nor a ciphertext of KMS is ever empty. */
const present = (bytes: Uint8Array | undefined, what: string): Uint8Array => {
  if (bytes === undefined || bytes.length === 0) throw noSense(`no ${what}`);
  return bytes;
};

/**
 * The SDK would search on (environment, instance role …) when the profile that was asked for is
 * not there, and then fail with a word on credentials, or find another identity.
 */
export async function checkProfile(profile: string): Promise<void> {
  const { configFile, credentialsFile } = await loadSharedConfigFiles();
  if (configFile[profile] === undefined && credentialsFile[profile] === undefined) {
    throw usageError(
      `There is no AWS profile ${profile}.`,
      'aws configure list-profiles names those there are.',
    );
  }
}

/**
 * An endpoint that encrypts under another key than it was asked for would go unnoticed until the
 * day the message must be opened. An alias can't be checked: only KMS knows where it points.
 */
function checkKey(keyId: string, keyArn: string | undefined): string {
  if (keyArn === undefined) throw noSense('no key');
  const isSame = isKeyArn(keyId) ? keyArn === keyId : keyArn.endsWith(`:key/${keyId}`);
  const isAlias = keyId.startsWith('alias/') || keyId.includes(':alias/');
  if (!isAlias && !isSame) throw noSense(`the key ${keyArn} in place of ${keyId}`);
  return keyArn;
}

const noSense = (what: string): KmsPocError =>
  new KmsPocError(
    'Unexpected',
    `AWS KMS answered with ${what}.`,
    'Something other than KMS may have answered: check AWS_ENDPOINT_URL.',
  );
