/** Whose the credentials are, as AWS STS says. */
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';

import { KmsPocError } from '../errors.ts';
import { openClient } from './connection.ts';
import type { KmsOptions } from './options.ts';
import { findCredentials } from './credentials.ts';
import { type KmsCall, mapIdentityError } from './errors.ts';
import { withDeadline } from './transport.ts';

/**
 * @param operation what the credentials are for, which decides the hint if something is wrong with them
 * @returns the ARN of a user or role. The call needs no permission.
 * @throws KmsPocError Credentials, if there are none or they are invalid; Usage, if there is no
 *   such profile or Region; another code, if STS did not answer the question
 */
export async function askIdentity(
  options: KmsOptions,
  operation: KmsCall['operation'],
): Promise<string> {
  const { client, region } = await openClient('sts', options, (config) => new STSClient(config));
  await findCredentials(client, options, operation);
  try {
    const { Arn: arn } = await withDeadline((options) =>
      client.send(new GetCallerIdentityCommand({}), options),
    );
    if (arn !== undefined) return arn;
  } catch (error) {
    throw mapIdentityError(error, operation, region);
  }
  throw new KmsPocError(
    'Unexpected',
    'AWS STS returned no identity.',
    'Something other than STS may have answered: check AWS_ENDPOINT_URL.',
  );
}
