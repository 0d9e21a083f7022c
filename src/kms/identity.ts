/** Asks AWS STS whose credentials these are. */
import type { KMSClient } from '@aws-sdk/client-kms';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';

import { KmsPocError } from '../errors.ts';
import { callOptions, checkProfile, clientConfig, type KmsOptions, watch } from './connection.ts';
import { mapCredentialsError, mapIdentityError, missingRegion } from './errors.ts';

/**
 * @returns the ARN of a user or role. The call needs no permission.
 * @throws KmsPocError Credentials, if there are none or they are invalid; Usage, if there is no
 *   such profile or Region; another code, if STS did not answer the question
 */
export async function askIdentity(options: KmsOptions): Promise<string> {
  if (options.profile !== undefined) await checkProfile(options.profile);
  const client = new STSClient(clientConfig(options));
  // The two clients differ only in the types of their operations, which nothing here looks at.
  watch('sts', client.middlewareStack as unknown as KMSClient['middlewareStack'], options);
  const region = await client.config.region().catch((error: unknown) => {
    throw missingRegion(options.region, error);
  });
  await client.config.credentials().catch((error: unknown) => {
    const call = { operation: 'look up', keyId: '', region, user: undefined } as const;
    throw mapCredentialsError(error, call);
  });
  try {
    const { Arn: arn } = await client.send(new GetCallerIdentityCommand({}), callOptions());
    if (arn === undefined)
      throw new KmsPocError(
        'Unexpected',
        'AWS STS returned no identity.',
        'Something other than STS may have answered: check AWS_ENDPOINT_URL.',
      );
    return arn;
  } catch (error) {
    throw mapIdentityError(error, region);
  }
}
