/** What a stack means for the settings file. */
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

import { KmsPocError } from '../errors.ts';
import { openClient } from '../kms/connection.ts';
import { type Aws, call } from './aws.ts';
import type { Stack } from './stack.ts';

/** Settings to be written; undefined: to be removed. Each value is one that needs no quotes. */
export type NewSettings = Readonly<Record<string, string | undefined>>;

const roles = ['Encryptor', 'Decryptor'] as const;
const idName = (role: string): string => `${role.toUpperCase()}_AWS_ACCESS_KEY_ID`;
const secretName = (role: string): string => `${role.toUpperCase()}_AWS_SECRET_ACCESS_KEY`;

/**
 * @param stack whose outputs have been checked
 * @throws KmsPocError, if a secret can't be read
 */
export async function settingsOf(aws: Aws, { outputs }: Stack): Promise<NewSettings> {
  const settings: Record<string, string | undefined> = {
    KEY_ID: outputs.theKeyArn,
    AWS_REGION: aws.region,
  };
  for (const role of roles) {
    const id = outputs[`${role}UserAccessKey`];
    const secret = outputs[`${role}UserSecretAccessKey`];
    if (id === undefined || secret === undefined) continue;
    settings[idName(role)] = id;
    settings[secretName(role)] = isArn(secret) ? await readSecret(aws, secret) : secret;
  }
  return settings;
}

/** Credentials in the file that belonged to users which the stack no longer has. */
export function removedCredentials(
  before: Stack | undefined,
  after: Stack,
  file: Readonly<Record<string, string>>,
): NewSettings {
  const gone = roles.filter((role) => {
    const output = `${role}UserAccessKey`;
    const id = before?.outputs[output];
    return id !== undefined && after.outputs[output] === undefined && file[idName(role)] === id;
  });
  return Object.fromEntries(
    gone.flatMap((role) => [
      [idName(role), undefined],
      [secretName(role), undefined],
    ]),
  );
}

/** The outputs without secrets, which they are with SecretDelivery=Output. */
export const publicOutputs = ({ outputs }: Stack): Record<string, string> =>
  Object.fromEntries(
    Object.entries(outputs).filter(
      ([name, value]) => !name.endsWith('SecretAccessKey') || isArn(value),
    ),
  );

const isArn = (value: string): boolean => value.startsWith('arn:');

async function readSecret(aws: Aws, arn: string): Promise<string> {
  const options = { ...aws.access.options('secretsmanager'), region: aws.region };
  const { client } = await openClient(
    'secretsmanager',
    options,
    (config) => new SecretsManagerClient(config),
  );
  const { SecretString: secret } = await call(
    aws,
    'The credentials could not be read',
    (callOptions) => client.send(new GetSecretValueCommand({ SecretId: arn }), callOptions),
  );
  if (secret !== undefined && /^[\w/+=]{40}$/.test(secret)) return secret;
  throw new KmsPocError(
    'Unexpected',
    `The secret ${arn} does not hold a secret access key.`,
    'Somebody may have changed it. To make new ones: --new-credentials',
  );
}
