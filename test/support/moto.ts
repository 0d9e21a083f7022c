/**
 * The AWS of the tests: moto's server, running as a separate process that has no keys at first,
 * unless it is given some. It has KMS, IAM, CloudFormation, Secrets Manager and DynamoDB, in every
 * Region, and accepts any credentials.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  type CreateKeyCommandInput,
  KMSClient,
  ReplicateKeyCommand,
} from '@aws-sdk/client-kms';
import { surroundings } from './command.ts';
import { pythonProgram } from './python.ts';

const startDeadlineMs = 60_000;
const region = 'eu-central-1';
const credentials = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'moto-takes-any' };

export interface Moto {
  /** Such as `http://127.0.0.1:40519`. */
  endpoint: string;
  /** For commands that should use this AWS: endpoint, Region and credentials. */
  env: Record<string, string>;
  /** The real SDK's client, connected to this AWS. */
  kms: (region?: string) => KMSClient;
  createKey: (options?: KeyOptions) => Promise<TestKey>;
  stop: () => Promise<void>;
}

export interface KeyOptions {
  /** With or without `alias/` in front; by default there is no alias. */
  alias?: string;
  region?: string;
  /** Creates a multi-Region key with a replica, and its alias, in this Region. */
  replicaRegion?: string;
  multiRegion?: boolean;
  keySpec?: CreateKeyCommandInput['KeySpec'];
  keyUsage?: CreateKeyCommandInput['KeyUsage'];
}

export interface TestKey {
  keyId: string;
  keyArn: string;
  /** The ARN in the other Region, if one was asked for. */
  replicaArn: string | undefined;
}

/**
 * Starts moto on a free port of 127.0.0.1. Best called once per file, in `before`. It ends with
 * `stop`, or by itself with the test process, and does not keep that process alive.
 *
 * @param options.keysFile KMS keys that exist from the start, with ids and material that stay the
 *   same from run to run: see moto_aws.py
 * @throws if it is not ready within a minute, with what it printed
 */
export async function startMoto({ keysFile }: { keysFile?: string } = {}): Promise<Moto> {
  const args = [join(import.meta.dirname, 'moto_aws.py')];
  if (keysFile !== undefined) args.push('--keys', keysFile);
  const child = spawn(pythonProgram('python'), args, { ...surroundings({}), stdio: 'pipe' });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    // The end of it is what explains a failure; all of it could be endless.
    said = (said + chunk.toString()).slice(-20_000);
  });
  const ended = new Promise<void>((resolve) =>
    child.once('exit', () => {
      resolve();
    }),
  );

  const port = await new Promise<string>((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(deadline);
      child.kill('SIGKILL');
      reject(new Error(`moto ${what}. It said: ${said}`));
    };
    const deadline = setTimeout(() => {
      fail('did not start in time');
    }, startDeadlineMs);
    child.once('error', (error) => {
      fail(`could not be started: ${error.message}`);
    });
    child.once('close', () => {
      fail('ended at once');
    });
    // It prints its port once it is listening: no polling, and no port that something else might
    // take.
    child.stdout.once('data', (line: Buffer) => {
      clearTimeout(deadline);
      resolve(line.toString().trim());
    });
  });

  // A test file that forgets `stop`, or fails before it, still ends; moto then sees the end of its
  // standard input and ends too.
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    (stream as unknown as { unref: () => void }).unref();
  }

  const endpoint = `http://127.0.0.1:${port}`;
  const kms = (clientRegion = region): KMSClient =>
    new KMSClient({ endpoint, region: clientRegion, credentials });
  return {
    endpoint,
    kms,
    env: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      // What the AWS CLI and boto3 read instead.
      AWS_DEFAULT_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    createKey: (options = {}) => createKey(kms, options),
    stop: async () => {
      child.ref(); // so that it can be awaited
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function createKey(
  kms: (region?: string) => KMSClient,
  { alias, region: keyRegion, replicaRegion, multiRegion, keySpec, keyUsage }: KeyOptions,
): Promise<TestKey> {
  const client = kms(keyRegion);
  const { KeyMetadata: key } = await client.send(
    new CreateKeyCommand({
      MultiRegion: multiRegion ?? replicaRegion !== undefined,
      KeySpec: keySpec,
      KeyUsage: keyUsage,
    }),
  );
  if (key?.KeyId === undefined || key.Arn === undefined) throw new Error('moto made no key');
  const addAlias = async (to: KMSClient): Promise<void> => {
    if (alias === undefined) return;
    const AliasName = alias.startsWith('alias/') ? alias : `alias/${alias}`;
    await to.send(new CreateAliasCommand({ AliasName, TargetKeyId: key.KeyId }));
  };
  await addAlias(client);

  let replicaArn: string | undefined;
  if (replicaRegion !== undefined) {
    const replicate = { KeyId: key.KeyId, ReplicaRegion: replicaRegion };
    const { ReplicaKeyMetadata: replica } = await client.send(new ReplicateKeyCommand(replicate));
    replicaArn = replica?.Arn;
    await addAlias(kms(replicaRegion));
  }
  return { keyId: key.KeyId, keyArn: key.Arn, replicaArn };
}
