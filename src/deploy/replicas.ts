/** The Regions in which a stack's key has replicas: KMS knows, not the stack. */
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';

import { isKeyArn, isRegion } from '../formats/kms-arn.ts';
import { openClient } from '../kms/connection.ts';
import { type Aws, call } from './aws.ts';
import type { Stack } from './stack.ts';

/** @throws KmsPocError */
export async function existingReplicas(
  aws: Aws,
  { parameters, outputs: { theKeyArn = '' } }: Stack,
): Promise<string[]> {
  if (parameters.MultiRegion !== 'true' || !isKeyArn(theKeyArn)) return [];
  const options = { ...aws.access.options('kms'), region: aws.region };
  const { client } = await openClient('kms', options, (config) => new KMSClient(config));
  const { KeyMetadata: key } = await call(aws, "The key's replicas can't be read", (callOptions) =>
    client.send(new DescribeKeyCommand({ KeyId: theKeyArn }), callOptions),
  );
  const replicas = key?.MultiRegionConfiguration?.ReplicaKeys ?? [];
  return replicas.map(({ Region = '' }) => Region).filter(isRegion);
}
