/** The search for AWS credentials: how long it may take, and what to say when it finds none. */
import { promisify } from 'node:util';

import { externalDataInterceptor, loadSharedConfigFiles } from '@smithy/core/config';

import { KmsPocError } from '../errors.ts';
import type { KmsOptions } from './options.ts';
import { type KmsCall, mapCredentialsError } from './errors.ts';

const deadlineSeconds = 20;

/**
 * Looks for the credentials before the first request, so that what goes wrong with them is told
 * apart from what goes wrong with the request. The SDK keeps them, and renews them by itself.
 *
 * @throws KmsPocError Credentials, after 20 seconds at most
 */
export async function findCredentials(
  client: { readonly config: { readonly credentials: () => Promise<unknown> } },
  options: Pick<KmsOptions, 'credentials' | 'environment' | 'patience' | 'profile'>,
  operation: KmsCall['operation'],
): Promise<void> {
  if (options.credentials !== undefined) return; // a pair that the settings name
  await options.patience.ask('AWS credentials', async () => {
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new SearchTimeout());
      }, deadlineSeconds * 1000);
    });
    try {
      await Promise.race([client.config.credentials(), deadline]);
    } catch (error) {
      throw await explain(error, options, operation);
    } finally {
      clearTimeout(timer);
    }
  });
}

class SearchTimeout extends Error {
  override readonly name = 'TimeoutError';
}

/**
 * How the last `credential_process` went: when it fails, the SDK looks elsewhere, and in the end says
 * only that there was nothing there either.
 */
let lastProcess: { readonly problem: string } | undefined;

/** The SDK runs the same program again for another provider: what failed is not waited for twice. */
const failedCommands = new Set<string>();

/**
 * The SDK gives a `credential_process` all the time in the world; one that waits for a person at a
 * terminal that it doesn't have never ends. This is the SDK's own way to put another function in
 * the place of `exec`, so that the process is ended too.
 */
async function runBounded(command: string): Promise<{ stdout: string; stderr: string }> {
  if (failedCommands.has(command)) throw new Error('credential_process failed before');
  lastProcess = { problem: 'did not print valid credentials' };
  const { exec } = await import('node:child_process'); // rarely needed, and takes a millisecond or two
  try {
    return await promisify(exec)(isOneProgram(command) ? `exec ${command}` : command, {
      timeout: (deadlineSeconds - 1) * 1000,
      killSignal: 'SIGKILL',
    });
  } catch (error) {
    failedCommands.add(command);
    const { killed, code, signal } = error as { killed?: boolean; code?: unknown; signal?: string };
    lastProcess = {
      problem:
        killed === true
          ? `gave no credentials within ${deadlineSeconds} seconds, and was ended`
          : `failed with ${typeof code === 'number' ? `status ${code}` : (signal ?? String(code))}`,
    };
    // Its own message quotes the command line and all that the program said.
    throw new Error('credential_process failed');
  }
}
/** Then the shell can become the program, and what is ended is not the shell alone. */
const isOneProgram = (command: string): boolean =>
  /^\s*[^\s=;&|<>()`]+(?:\s[^;&|<>()`]*)?$/.test(command);

externalDataInterceptor.interceptToken(
  'exec',
  // The SDK hands it to `promisify`.
  Object.assign(() => undefined, { [promisify.custom]: runBounded }),
);

interface Explanation {
  readonly message: string;
  readonly hint?: string;
}

/** Only the text of the SDK's errors tells what happened. For one that isn't known, ours is general. */
function explanationOf(text: string, profile: string): Explanation | undefined {
  if (lastProcess !== undefined) {
    return {
      message: `The credential_process of the AWS profile ${profile} ${lastProcess.problem}`,
      hint: `Run it by hand to see why: aws configure get credential_process --profile ${profile}`,
    };
  }
  if (text.includes('multi-factor authentication')) {
    return {
      message: `The AWS profile ${profile} needs an MFA code, which is not asked for here`,
      hint: 'Get a session first, for example with aws sts get-session-token, and use its credentials.',
    };
  }
  if (
    /\bSSO\b|\btoken is expired\b|aws sso login|aws login/i.test(text) &&
    !text.includes('Skipping SSO')
  ) {
    const command = text.includes('aws login') ? 'aws login' : 'aws sso login';
    return {
      message: `The AWS profile ${profile} is not signed in, or its session has expired`,
      hint: `Sign in: ${command} --profile ${profile}`,
    };
  }
  if (text.includes('Detected a cycle')) {
    return { message: `The AWS profile ${profile} refers to itself by source_profile` };
  }
  return undefined;
}

async function explain(
  error: unknown,
  { profile, environment }: Pick<KmsOptions, 'environment' | 'profile'>,
  operation: KmsCall['operation'],
): Promise<KmsPocError> {
  if (error instanceof KmsPocError) return error;
  const cause = error instanceof Error ? error : new Error('not an error', { cause: error });
  const name = profile ?? 'default';
  const places = await placesOf(name, profile !== undefined, environment);
  const explanation = explanationOf(cause.message, name) ?? {
    message:
      cause instanceof SearchTimeout
        ? `No AWS credentials came within ${deadlineSeconds} seconds from ${places}`
        : `Could not load AWS credentials from ${places}`,
  };
  return mapCredentialsError(cause, operation, explanation);
}

/** @returns where the SDK has looked, in its order */
async function placesOf(
  profile: string,
  isProfileNamed: boolean,
  environment: KmsOptions['environment'],
): Promise<string> {
  const none: Awaited<ReturnType<typeof loadSharedConfigFiles>> = {
    configFile: {},
    credentialsFile: {},
  };
  const { configFile, credentialsFile } = await loadSharedConfigFiles().catch(() => none);
  const section: Record<string, string | undefined> = {
    ...configFile[profile],
    ...credentialsFile[profile],
  };
  const sources: [string, boolean][] = [
    ['a credential_process', section.credential_process !== undefined],
    ['SSO', section.sso_session !== undefined || section.sso_start_url !== undefined],
    [`the role ${section.role_arn ?? ''}`, section.role_arn !== undefined],
  ];
  const source = sources.find(([, isSet]) => isSet)?.[0];
  const places: [string, boolean][] = [
    ['the environment', !isProfileNamed],
    [
      `the profile ${profile}${source === undefined ? '' : ` (${source})`}`,
      isProfileNamed || Object.keys(section).length > 0,
    ],
    ['a web identity token', environment.AWS_WEB_IDENTITY_TOKEN_FILE !== undefined],
    [
      'the container',
      environment.AWS_CONTAINER_CREDENTIALS_FULL_URI !== undefined ||
        environment.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI !== undefined,
    ],
    ['the instance metadata', environment.AWS_EC2_METADATA_DISABLED?.toLowerCase() !== 'true'],
  ];
  const looked = places.flatMap(([place, isLooked]) => (isLooked ? [place] : []));
  return looked.length > 1
    ? `${looked.slice(0, -1).join(', ')} or ${looked.at(-1) ?? ''}`
    : (looked[0] ?? '');
}
