/** The services of AWS that a deployment calls, in one Region. */
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';

import { interrupted, KmsPocError } from '../errors.ts';
import type { AwsService } from '../events.ts';
import { openClient } from '../kms/connection.ts';
import { mapStackError } from '../kms/errors.ts';
import { askIdentity } from '../kms/identity.ts';
import type { KmsOptions } from '../kms/options.ts';
import { withDeadline } from '../kms/transport.ts';
import type { Dialogue } from './dialogue.ts';

export interface Access {
  readonly options: (service: AwsService) => Omit<KmsOptions, 'region'>;
  /** Aborted when the person or the system wants the run to end. */
  readonly signal: AbortSignal;
}

export interface Aws {
  readonly access: Access;
  readonly region: string;
  readonly cloudFormation: CloudFormationClient;
}

/**
 * @param region undefined: as the AWS SDK finds it
 * @throws KmsPocError Usage
 */
export async function connect(access: Access, region: string | undefined): Promise<Aws> {
  const options = { ...access.options('cloudformation'), region };
  const { client, region: found } = await openClient(
    'cloudformation',
    options,
    (config) => new CloudFormationClient(config),
  );
  return { access, region: found, cloudFormation: client };
}

/**
 * The same for the main Region, and says whose account this is.
 *
 * @throws KmsPocError, without credentials
 */
export async function enter(
  access: Access,
  region: string | undefined,
  { say }: Pick<Dialogue, 'say'>,
): Promise<Aws> {
  const aws = await connect(access, region);
  const caller = await askIdentity({ ...access.options('sts'), region: aws.region }, 'deploy');
  const account = /^arn:aws[a-z-]*:(?:iam|sts)::(\d{12}):/.exec(caller)?.[1];
  if (account === undefined) {
    throw new KmsPocError(
      'Unexpected',
      'AWS STS returned an unexpected identity.',
      'Something other than STS may have answered: check AWS_ENDPOINT_URL.',
    );
  }
  say(`Account  ${account} (${caller})`);
  say(`Region   ${aws.region}`);
  return aws;
}

/**
 * Makes one call.
 *
 * @param failure what to say if it fails: `The stack kms-poc can't be read`
 * @throws KmsPocError, Interrupted if the run is to end
 */
export async function call<Answer>(
  { region, access: { signal } }: Pick<Aws, 'region' | 'access'>,
  failure: string,
  request: (options: { abortSignal: AbortSignal }) => Promise<Answer>,
): Promise<Answer> {
  throwIfInterrupted(signal);
  try {
    return await withDeadline(({ abortSignal }) =>
      request({ abortSignal: AbortSignal.any([signal, abortSignal]) }),
    );
  } catch (error) {
    throwIfInterrupted(signal);
    throw mapStackError(error, failure, region);
  }
}

/** The same for CloudFormation: `ask(aws, failure)(command)`. */
export const ask = (aws: Aws, failure: string): CloudFormationClient['send'] =>
  ((command: Parameters<CloudFormationClient['send']>[0]) =>
    call(aws, failure, (options) =>
      aws.cloudFormation.send(command, options),
    )) as CloudFormationClient['send'];

/** @throws KmsPocError Interrupted */
export function throwIfInterrupted({ aborted }: AbortSignal): void {
  if (aborted) throw interrupted();
}
