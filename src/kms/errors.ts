/**
 * The one place where errors of AWS KMS, of the connection to it, and of the search for credentials
 * become ours. Errors are told apart by name or code, never by their text: the text changes, and
 * the error for a wrong encryption context has none.
 *
 * Names: https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html#API_Encrypt_Errors,
 * API_Decrypt.html and CommonErrors.html there.
 */
import { type ErrorCode, exitStatus, KmsPocError, usageError } from '../errors.ts';
import type { AwsService } from '../events.ts';
import { isTlsError } from './transport.ts';

/** What was being done, for the message. */
export interface KmsCall {
  readonly operation: 'encrypt' | 'decrypt' | 're-encrypt' | 'look up' | 'deploy';
  readonly keyId: string;
  /** The target of a re-encryption: KMS doesn't say which of the two keys an error is about. */
  readonly newKeyId?: string | undefined;
  readonly region: string;
  readonly user: string | undefined;
}

interface Row {
  readonly code: ErrorCode;
  readonly names: readonly string[];
  readonly message: (call: KmsCall) => string;
  readonly hint: (call: KmsCall) => string;
}

const keysOf = ({ keyId, newKeyId = keyId }: KmsCall): string =>
  newKeyId === keyId ? keyId : `${keyId} or ${newKeyId}`;
/** A key for a command line; if there are two, a placeholder to be replaced. */
const keyArgument = (call: KmsCall): string =>
  keysOf(call) === call.keyId ? call.keyId : 'THE-KEY';
const deployment = 'manage CloudFormation, KMS, IAM and Secrets Manager';
const permissions = {
  encrypt: 'kms:Encrypt with this user',
  decrypt: 'kms:Decrypt with this user',
  're-encrypt': 'kms:ReEncryptFrom the one key and kms:ReEncryptTo the other, with this user',
  'look up': 'kms:DescribeKey',
  deploy: `to ${deployment}`,
};
const checkReachable = (): string =>
  'Check the network, the Region and AWS_ENDPOINT_URL, then try again.';
const tryAgain = (): string => 'Try again in a moment.';

const rows: readonly Row[] = [
  {
    code: 'CannotDecrypt',
    names: ['InvalidCiphertextException'],
    message: ({ user }) => `This message can't be decrypted for ${user ?? 'anyone'}`,
    hint: () =>
      'It was encrypted for another user, or it is incomplete, or it was changed. Check --user and copy all of it.',
  },
  {
    code: 'WrongKey',
    names: ['IncorrectKeyException'],
    message: ({ keyId }) => `This message was encrypted with a key other than ${keyId}`,
    hint: () => 'Pass the key it was encrypted with: --key, or DECRYPT_KEYS in the settings.',
  },
  {
    code: 'KeyNotFound',
    names: ['NotFoundException'],
    message: (call) => `There is no key ${keysOf(call)} in ${call.region}`,
    hint: () => 'Check KEY_ID or --key, the Region and the account.',
  },
  {
    code: 'KeyUnusable',
    names: ['DisabledException'],
    message: (call) => `The key ${keysOf(call)} is disabled`,
    hint: (call) =>
      `An administrator can enable it: aws kms enable-key --region ${call.region} --key-id ${keyArgument(call)}`,
  },
  {
    code: 'KeyUnusable',
    names: ['KMSInvalidStateException'],
    message: (call) =>
      `The key ${keysOf(call)} can't be used: it is scheduled for deletion, or has no key material`,
    hint: (call) =>
      `If it is scheduled for deletion, cancel that in time: aws kms cancel-key-deletion --region ${call.region} --key-id ${keyArgument(call)}`,
  },
  {
    code: 'KeyUnusable',
    names: ['InvalidKeyUsageException', 'UnsupportedOperationException'],
    message: (call) => `The key ${keysOf(call)} can't ${call.operation} messages`,
    hint: () => 'Use a symmetric key with key usage ENCRYPT_DECRYPT.',
  },
  {
    code: 'AccessDenied',
    names: ['AccessDeniedException', 'AccessDenied', 'UnauthorizedOperation', 'NotAuthorized'],
    message: ({ operation, keyId, newKeyId, user }) =>
      operation === 'look up'
        ? `These credentials are not allowed to look up ${keyId}`
        : operation === 're-encrypt'
          ? `These credentials are not allowed to re-encrypt from ${keyId} to ${newKeyId ?? keyId} for ${user ?? 'this user'}`
          : `These credentials are not allowed to ${operation} with ${keyId} for ${user ?? 'this user'}`,
    hint: ({ operation }) =>
      operation === 'decrypt' || operation === 're-encrypt'
        ? `Either a permission is missing (${permissions[operation]}), or a key is in another account, or the message was changed where it names its key.`
        : `A permission may be missing (${permissions[operation]}), or the key is in another account.`,
  },
  {
    code: 'Credentials',
    names: ['ExpiredTokenException', 'ExpiredToken', 'RequestExpired'],
    message: () => 'The AWS credentials have expired',
    hint: () => 'Sign in again (aws sso login), or renew them where they come from.',
  },
  {
    code: 'Credentials',
    names: ['UnrecognizedClientException', 'InvalidClientTokenId', 'InvalidAccessKeyId'],
    message: () => 'AWS does not recognize this access key',
    hint: ({ operation }) =>
      operation === 'deploy'
        ? 'Check the access key id in the environment or your AWS profile.'
        : 'Check the access key id: ENCRYPTOR_ or DECRYPTOR_AWS_ACCESS_KEY_ID in the settings, else your AWS profile.',
  },
  {
    code: 'Credentials',
    names: [
      'InvalidSignatureException',
      'SignatureDoesNotMatch',
      'IncompleteSignature',
      'IncompleteSignatureException',
      'MissingAuthenticationToken',
      'MissingAuthenticationTokenException',
      'AuthFailure',
    ],
    message: () => 'AWS rejected the signature of the request',
    hint: () => "Check the secret access key, and that this machine's clock is right.",
  },
  {
    code: 'Credentials',
    names: ['OptInRequired', 'SubscriptionRequiredException'],
    message: ({ region }) => `This AWS account can't use KMS in ${region}`,
    hint: () => 'Enable the Region for the account, or use another one.',
  },
  {
    // From Node, for a header that can't be sent: the access key id and session token are in
    // headers.
    code: 'Credentials',
    names: ['ERR_INVALID_CHAR'],
    message: () => 'The AWS credentials contain an invalid character',
    hint: () =>
      'Check the access key id and the session token, perhaps for a line break at the end.',
  },
  {
    code: 'Usage',
    names: ['ValidationException', 'InvalidArnException', 'ValidationError'],
    message: (call) => `AWS KMS does not accept ${keysOf(call)} as a key`,
    hint: () => 'Check KEY_ID or --key: alias/NAME, a key id, or an ARN.',
  },
  {
    // From the AWS configuration: our own endpoint settings have been checked before.
    code: 'Usage',
    names: ['ERR_INVALID_URL'],
    message: () => 'The AWS KMS endpoint is not a valid URL',
    hint: () => 'Check endpoint_url in the AWS configuration file.',
  },
  {
    code: 'Throttled',
    names: [
      'ThrottlingException',
      'Throttling',
      'ThrottledException',
      'RequestThrottled',
      'RequestLimitExceeded',
      'LimitExceededException',
      'TooManyRequestsException',
      'BandwidthLimitExceeded',
      'SlowDown',
    ],
    message: ({ region }) => `AWS KMS in ${region} is throttling requests`,
    hint: () => 'Wait a moment and try again, or ask AWS for a higher quota.',
  },
  {
    code: 'Unavailable',
    names: [
      'KMSInternalException',
      'DependencyTimeoutException',
      'KeyUnavailableException',
      'InternalFailure',
      'InternalServerError',
      'ServiceUnavailable',
      'ServiceUnavailableException',
    ],
    message: ({ region }) => `AWS KMS in ${region} failed`,
    hint: tryAgain,
  },
  {
    code: 'Unavailable',
    names: ['ECONNREFUSED'],
    message: ({ region }) => `AWS KMS in ${region} refused the connection`,
    hint: checkReachable,
  },
  {
    code: 'Unavailable',
    names: ['ECONNRESET', 'EPIPE', 'ECONNABORTED'],
    message: ({ region }) => `The connection to AWS KMS in ${region} was lost`,
    hint: tryAgain,
  },
  {
    code: 'Unavailable',
    names: ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA'],
    message: ({ region }) => `The host name of AWS KMS in ${region} can't be resolved`,
    hint: () => 'Check the network, the Region, and AWS_ENDPOINT_URL if it is set.',
  },
  {
    code: 'Unavailable',
    names: [
      'TimeoutError',
      'AbortError',
      'ETIMEDOUT',
      'ESOCKETTIMEDOUT',
      'EHOSTUNREACH',
      'ENETUNREACH',
    ],
    message: ({ region }) => `AWS KMS in ${region} did not answer in time`,
    hint: checkReachable,
  },
];

/** What the SDK adds to an error that came with a response from the service. */
interface SdkError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly $fault?: 'client' | 'server';
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** The name of a network error is just "Error"; its code says what it is. */
const namesOf = ({ code, name }: SdkError): string[] =>
  [code, name].filter((each): each is string => typeof each === 'string');

/** @returns undefined if no row has a name of this error */
function mapByName(error: Error, call: KmsCall, among: readonly Row[]): KmsPocError | undefined {
  for (const name of namesOf(error)) {
    const row = among.find((candidate) => candidate.names.includes(name));
    if (row) {
      return new KmsPocError(row.code, `${row.message(call)} (${name}).`, row.hint(call), {
        cause: error,
      });
    }
  }
  return undefined;
}

/**
 * What is not the service's own word on this ciphertext is trouble on the way to it, whatever came
 * back: a TLS alert, the banner of another protocol, an answer that breaks off.
 */
export function mapKmsError(error: unknown, call: KmsCall): KmsPocError {
  if (error instanceof KmsPocError) return error;
  if (!(error instanceof Error)) return noAnswer('Error', call, error);
  const known = mapByName(error, call, rows);
  if (known !== undefined) return known;
  const tlsName = namesOf(error).find(isTlsError);
  if (tlsName !== undefined) {
    return new KmsPocError(
      'Unavailable',
      `The connection to AWS KMS in ${call.region} is not secure, so nothing was sent (${tlsName}).`,
      'A proxy may be in between, or the endpoint is wrong. If your company has its own certificate authority, set NODE_EXTRA_CA_CERTS.',
      { cause: error },
    );
  }
  const { name, $fault, $metadata } = error as SdkError & Error;
  // An error that the service named; if it didn't, the SDK calls the error Unknown.
  if ($fault !== undefined && !name.startsWith('Unknown')) {
    return new KmsPocError(
      $fault === 'server' ? 'Unavailable' : 'Unexpected',
      `AWS KMS in ${call.region} returned an unknown error (${name}).`,
      'The AWS KMS API Reference explains it.',
      { cause: error },
    );
  }
  if ($metadata?.httpStatusCode !== undefined) {
    return new KmsPocError(
      'Unavailable',
      `AWS KMS in ${call.region} sent an unexpected response (HTTP ${$metadata.httpStatusCode}).`,
      'Something other than KMS may have answered: check the network and AWS_ENDPOINT_URL, then try again.',
      { cause: error },
    );
  }
  return noAnswer(namesOf(error)[0] ?? 'Error', call, error);
}

const noAnswer = (name: string, { region }: KmsCall, cause: unknown): KmsPocError =>
  new KmsPocError(
    'Unavailable',
    `AWS KMS in ${region} could not be asked (${name}).`,
    'Something other than KMS may have answered: check the network and AWS_ENDPOINT_URL, then try again.',
    { cause },
  );

const signInForKeys =
  'Sign in (aws sso login, aws configure), or put the pairs of access keys in the settings file; without an AWS account use --key local.';
const signIn: Readonly<Record<KmsCall['operation'], string>> = {
  encrypt: signInForKeys,
  decrypt: signInForKeys,
  'look up': signInForKeys,
  're-encrypt':
    'Moving a message within KMS uses your own credentials, not the pairs in the settings file: sign in (aws sso login, aws configure), or use --profile.',
  deploy: `Sign in as someone who may ${deployment} (aws sso login, aws configure), or use --profile.`,
};

/**
 * For whatever the search for credentials throws. It reads files, runs programs and asks other
 * services, so nearly every kind of error can come from it.
 *
 * @param explanation what to say of one that has no name of its own
 */
export function mapCredentialsError(
  error: Error,
  operation: KmsCall['operation'],
  { message, hint }: { readonly message: string; readonly hint?: string },
): KmsPocError {
  const call: KmsCall = { operation, keyId: '', region: '', user: undefined };
  const aboutCredentials = rows.filter(({ code }) => code === 'Credentials');
  return (
    mapByName(error, call, aboutCredentials) ??
    new KmsPocError(
      'Credentials',
      `${message} (${namesOf(error)[0] ?? 'Error'}).`,
      hint ?? signIn[operation],
      { cause: error },
    )
  );
}

/**
 * For the call that asks AWS STS whose credentials these are. A problem with the credentials is
 * reported as KMS would report it; that STS itself is unavailable only matters to this question.
 */
export function mapIdentityError(
  error: unknown,
  operation: KmsCall['operation'],
  region: string,
): KmsPocError {
  const call: KmsCall = { operation, keyId: '', region, user: undefined };
  const mapped = mapKmsError(error, call);
  if (mapped.code === 'Credentials') return mapped;
  return new KmsPocError(
    mapped.code,
    `AWS STS in ${region} could not identify these credentials (${namesOf(error as SdkError)[0] ?? 'Error'}).`,
    'Check the network, the Region and AWS_ENDPOINT_URL.',
    { cause: error },
  );
}

/**
 * For the calls of a deployment. The text of these errors is shown: it says which parameter, resource
 * or permission is meant, and quotes no secret.
 *
 * @param failure what could not be done: `The stack kms-poc can't be read`
 */
export function mapStackError(error: unknown, failure: string, region: string): KmsPocError {
  const call: KmsCall = { operation: 'deploy', keyId: '', region, user: undefined };
  const mapped = mapKmsError(error, call);
  if (mapped === error || mapped.code === 'Credentials') return mapped;
  const [name = 'Error'] = namesOf(error as SdkError);
  const { message } = error as Error;
  return new KmsPocError(
    mapped.code === 'KeyNotFound' ? 'Unexpected' : mapped.code,
    `${failure}: ${['', 'UnknownError'].includes(message) ? name : `${message} (${name})`}.`,
    mapped.code === 'AccessDenied'
      ? `This needs someone who may ${deployment}.`
      : mapped.status === exitStatus.unavailable
        ? 'Check the network, the Region and AWS_ENDPOINT_URL, then try again.'
        : 'docs/aws.md, "When a run goes wrong", has the usual causes.',
    { cause: error },
  );
}

/** @param region what was given as the Region; undefined if nothing was */
export const missingRegion = (
  service: AwsService,
  region: string | undefined,
  cause: unknown,
): KmsPocError =>
  region === undefined
    ? usageError(
        'No AWS Region is set.',
        service === 'cloudformation' // there is no key yet
          ? 'Set AWS_REGION, or pass --region.'
          : 'Set AWS_REGION, pass --region, or name the key by its ARN.',
        { cause },
      )
    : usageError(`${region} is not an AWS Region.`, 'A Region looks like eu-central-1.', { cause });
