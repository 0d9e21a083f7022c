/** A stack as CloudFormation describes it. What AWS returns is data: it is checked before it is used. */
import { setTimeout as sleep } from 'node:timers/promises';

import { DescribeStacksCommand, GetTemplateSummaryCommand } from '@aws-sdk/client-cloudformation';

import { KmsPocError, usageError } from '../errors.ts';
import { type Aws, ask, throwIfInterrupted } from './aws.ts';
import type { Template, Values } from './template.ts';

const pollMs = 2000;

export interface Stack {
  readonly name: string;
  readonly id: string;
  readonly status: string;
  readonly parameters: Values;
  readonly outputs: Values;
  readonly tags: Values;
}

/** Each output of the templates, and what it looks like. */
const outputPatterns: Readonly<Record<string, RegExp>> = {
  theKeyId: /^(?:mrk-)?[0-9a-f-]{32,36}$/,
  theKeyArn: /^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/(?:mrk-)?[0-9a-f-]{32,36}$/,
  theKeyAlias: /^alias\/[\w/-]{1,250}$/,
  EncryptorUserAccessKey: /^[A-Z0-9]{16,128}$/,
  DecryptorUserAccessKey: /^[A-Z0-9]{16,128}$/,
  EncryptorUserSecretAccessKey: /^arn:aws[a-z-]*:secretsmanager:[\w/+=.@:-]+$|^[\w/+=]{40}$/,
  DecryptorUserSecretAccessKey: /^arn:aws[a-z-]*:secretsmanager:[\w/+=.@:-]+$|^[\w/+=]{40}$/,
  EncryptGroupName: /^[\w+=,.@-]{1,128}$/,
  DecryptGroupName: /^[\w+=,.@-]{1,128}$/,
  RotateGroupName: /^[\w+=,.@-]{1,128}$/,
};

/** @returns undefined if there is no stack of that name */
export async function readStack(aws: Aws, name: string): Promise<Stack | undefined> {
  const command = new DescribeStacksCommand({ StackName: name });
  const found = await ask(
    aws,
    `The stack ${name} can't be read`,
  )(command).then(
    ({ Stacks: [stack] = [] }) => stack,
    (error: unknown) => {
      // Only the text tells this from other errors in the request.
      if (error instanceof Error && error.message.includes('does not exist')) return undefined;
      throw error;
    },
  );
  if (found === undefined) return undefined;
  const values = <Item>(
    items: readonly Item[] | undefined,
    pair: (item: Item) => [string | undefined, string | undefined],
  ): Values =>
    Object.fromEntries((items ?? []).map(pair).map(([key = '', value = '']) => [key, value]));
  return {
    name,
    id: found.StackId ?? name,
    status: found.StackStatus ?? '',
    parameters: values(found.Parameters, (each) => [each.ParameterKey, each.ParameterValue]),
    outputs: values(found.Outputs, (each) => [each.OutputKey, each.OutputValue]),
    tags: values(found.Tags, (each) => [each.Key, each.Value]),
  };
}

/** Waits while CloudFormation is still at work on the stack, as after an interrupted run. */
export async function readIdleStack(
  aws: Aws,
  name: string,
  say: (text: string) => void,
): Promise<Stack | undefined> {
  let isSaid = false;
  for (;;) {
    const stack = await readStack(aws, name);
    const { status = '' } = stack ?? {};
    if (!status.endsWith('_IN_PROGRESS') || status === 'REVIEW_IN_PROGRESS') return stack;
    if (!isSaid) say(`${name} is being worked on already (${status}). Waiting for it.`);
    isSaid = true;
    await pause(aws);
  }
}

/** Between two looks at something. */
export async function pause({ access: { signal } }: Aws): Promise<void> {
  await sleep(pollMs, undefined, { signal }).catch(() => undefined);
  throwIfInterrupted(signal);
}

/** Whether the stack has to be created: there is none, or no more than a failed attempt at one. */
export const isToBeMade = (stack: Stack | undefined): boolean =>
  stack === undefined ||
  /^(?:REVIEW_IN_PROGRESS|ROLLBACK_COMPLETE|ROLLBACK_FAILED)$/.test(stack.status);

/**
 * A stack of the same name may be somebody else's: an update would delete its resources and take over
 * the values of its parameters.
 *
 * @throws KmsPocError Usage
 */
export async function requireOurs(aws: Aws, stack: Stack, template: Template): Promise<void> {
  // It is empty, and has no template yet.
  if (stack.status === 'REVIEW_IN_PROGRESS') return;
  const strange = strangeOutput(stack, template);
  const isMarked = stack.tags['kms-poc'] === template.mark || (await hasMark(aws, stack, template));
  if (isMarked && strange === undefined) return;
  const why = isMarked ? `it has an output ${strange ?? ''}` : 'it has no mark of it';
  throw usageError(
    `The stack ${stack.name} in ${aws.region} was not made from ${template.file}: ${why}.`,
    'Use another --stack-name. To change this one all the same, look at its parameters first: --adopt --dry-run',
  );
}

async function hasMark(aws: Aws, { id, name }: Stack, { mark }: Template): Promise<boolean> {
  const command = new GetTemplateSummaryCommand({ StackName: id });
  const { Metadata } = await ask(aws, `The template of ${name} can't be read`)(command);
  return Metadata?.includes(mark) === true;
}

/** The name of an output that the template doesn't have, or not with such a value. */
const strangeOutput = ({ outputs }: Stack, { outputNames }: Template): string | undefined =>
  Object.entries(outputs).find(
    ([name, value]) => !outputNames.includes(name) || outputPatterns[name]?.test(value) !== true,
  )?.[0];

/** @throws KmsPocError, if a stack's outputs can't be what this run has made */
export function checkOutputs(stack: Stack | undefined, template: Template, region: string): Stack {
  const { theKeyArn } = stack?.outputs ?? {};
  const strange = stack && strangeOutput(stack, template);
  if (stack !== undefined && strange === undefined && theKeyArn?.split(':')[3] === region)
    return stack;
  throw new KmsPocError(
    'Unexpected',
    `AWS returned an unexpected output of the stack: ${strange ?? 'theKeyArn'}.`,
    'Something other than CloudFormation may have answered: check AWS_ENDPOINT_URL.',
  );
}
