/** Makes a stack as a template says, or deletes it. */
import { randomUUID } from 'node:crypto';

import {
  type Change,
  CreateChangeSetCommand,
  DeleteChangeSetCommand,
  DeleteStackCommand,
  DescribeChangeSetCommand,
  ExecuteChangeSetCommand,
  waitUntilChangeSetCreateComplete,
} from '@aws-sdk/client-cloudformation';

import { KmsPocError } from '../errors.ts';
import { type Aws, ask, throwIfInterrupted } from './aws.ts';
import type { Dialogue } from './dialogue.ts';
import { type ParameterPlan, parametersOf } from './plan.ts';
import { isToBeMade, readStack, type Stack } from './stack.ts';
import type { Template } from './template.ts';
import { type Ending, watch } from './watch.ts';

const changeSetSeconds = 600;

interface Target {
  readonly name: string;
  /** As it was read. */
  readonly stack: Stack | undefined;
  readonly template: Template;
  readonly plan: ParameterPlan;
  readonly question: string;
}

/**
 * @param isDryRun shows the changes and leaves it at that
 * @returns whether anything was changed
 * @throws KmsPocError; Declined
 */
export async function apply(
  aws: Aws,
  target: Target,
  dialogue: Dialogue,
  isDryRun: boolean,
): Promise<boolean> {
  const { name, stack, template, plan, question } = target;
  if (/^(?:DELETE_FAILED|CREATE_FAILED|UPDATE_ROLLBACK_FAILED)$/.test(stack?.status ?? '')) {
    throw new KmsPocError(
      'Unexpected',
      `The stack ${name} is stuck (${stack?.status ?? ''}).`,
      'See its events in the CloudFormation console; --teardown deletes what it can.',
    );
  }
  const isNew = isToBeMade(stack);
  const isLeftover = stack?.status.startsWith('ROLLBACK_') === true;
  if (isNew) {
    for (const resource of template.resources(plan.values))
      sayChange(dialogue, 'create', resource.name);
    // Even a change set makes a stack where there is none.
    if (!isDryRun) await dialogue.confirm(question);
    if (isLeftover && isDryRun) {
      dialogue.say('What is left of an earlier attempt that failed would be deleted first.');
      return false;
    }
    if (isLeftover) {
      dialogue.say('Deleting what is left of an earlier attempt that failed.');
      await remove(aws, stack, dialogue);
    }
  }

  const token = newToken('deploy');
  let isStarted = false;
  try {
    const changes = await createChangeSet(aws, target, token, isNew);
    if (changes === undefined) {
      dialogue.say(`The stack ${name} is up to date.`);
      return false;
    }
    if (!isNew) for (const change of changes) sayResourceChange(dialogue, change);
    if (isDryRun) return false;
    await dialogue.confirm(question);
    throwIfInterrupted(aws.access.signal);
    isStarted = true;
    const ids = { StackName: name, ChangeSetName: token, ClientRequestToken: token };
    const begin = ask(aws, `The change of ${name} could not be started`);
    await finish(aws, { name, id: name }, token, dialogue, () =>
      begin(new ExecuteChangeSetCommand(ids)).catch((error: unknown) => {
        isStarted = isInterruption(error); // then nobody knows
        throw error;
      }),
    );
    return true;
  } finally {
    // A stack that others are still reviewing is not ours to delete.
    if (!isStarted) await dropChangeSet(aws, name, token, stack === undefined || isLeftover);
  }
}

/** @returns undefined if the stack is as it should be */
async function createChangeSet(
  aws: Aws,
  { name, stack, template, plan }: Target,
  token: string,
  isNew: boolean,
): Promise<Change[] | undefined> {
  const tags = { ...stack?.tags, 'kms-poc': template.mark };
  const ids = { StackName: name, ChangeSetName: token };
  const refused = `CloudFormation refused the change of ${name}`;
  const command = new CreateChangeSetCommand({
    ...ids,
    ChangeSetType: isNew ? 'CREATE' : 'UPDATE',
    TemplateBody: template.body,
    Capabilities: ['CAPABILITY_IAM'],
    Parameters: parametersOf(plan),
    Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
  });
  await ask(aws, refused)(command);
  // How it ended is asked below: the waiter's error has it only as text.
  await waitUntilChangeSetCreateComplete(
    {
      client: aws.cloudFormation,
      abortSignal: aws.access.signal,
      maxWaitTime: changeSetSeconds,
      minDelay: 1,
      maxDelay: 2,
    },
    ids,
  ).catch(() => undefined);
  // One page has room for 100 changes, far more than the templates have resources.
  const {
    Changes: changes = [],
    Status,
    StatusReason = 'no reason given',
  } = await ask(aws, `The changes of ${name} can't be read`)(new DescribeChangeSetCommand(ids));
  if (Status === 'CREATE_COMPLETE') return changes;
  // Nothing but the text tells this from a failure.
  if (/didn't contain changes|No updates are to be performed/.test(StatusReason)) return undefined;
  throw new KmsPocError('Unexpected', `${refused}: ${StatusReason}`, 'Nothing was changed.');
}

function sayResourceChange({ say }: Dialogue, { ResourceChange: change = {} }: Change): void {
  const { Action = '', LogicalResourceId: name = '', Replacement = '' } = change;
  const word =
    { Add: 'create', Remove: 'delete' }[Action as string] ??
    (Replacement === 'True' ? 'replace' : 'change');
  sayChange({ say }, word, Replacement === 'Conditional' ? `${name} (may be replaced)` : name);
}

const sayChange = ({ say }: Pick<Dialogue, 'say'>, word: string, name: string): void => {
  say(`  ${word.padEnd(8)} ${name}`);
};

/** Also after an interruption, so not by `call`. What can't be removed is left for the next run. */
async function dropChangeSet(
  aws: Aws,
  name: string,
  token: string,
  isOnlyForIt: boolean,
): Promise<void> {
  const own = { ...aws, access: { ...aws.access, signal: new AbortController().signal } };
  const drop = async (): Promise<void> => {
    if (isOnlyForIt) {
      if ((await readStack(own, name))?.status !== 'REVIEW_IN_PROGRESS') return;
      await aws.cloudFormation.send(new DeleteStackCommand({ StackName: name }));
    } else {
      await aws.cloudFormation.send(
        new DeleteChangeSetCommand({ StackName: name, ChangeSetName: token }),
      );
    }
  };
  await drop().catch(() => undefined);
}

/**
 * Deletes a stack, by its id: a deleted one can't be found by its name.
 *
 * @throws KmsPocError
 */
export async function remove(aws: Aws, { name, id }: Stack, dialogue: Dialogue): Promise<void> {
  const token = newToken('delete');
  const command = new DeleteStackCommand({ StackName: id, ClientRequestToken: token });
  await finish(aws, { name, id }, token, dialogue, () =>
    ask(aws, `The stack ${name} could not be deleted`)(command),
  );
}

const isInterruption = (error: unknown): boolean =>
  error instanceof KmsPocError && error.code === 'Interrupted';

/** Starts an operation, and sees it to its end. */
async function finish(
  aws: Aws,
  stack: { readonly name: string; readonly id: string },
  token: string,
  { say, unchanged }: Dialogue,
  start: () => Promise<unknown>,
): Promise<void> {
  const { name } = stack;
  let isStarted = false;
  let ending: Ending;
  try {
    await start();
    isStarted = true;
    ending = await watch(aws, stack, token, say);
  } catch (error) {
    if (!isStarted && !isInterruption(error)) throw error;
    say(`CloudFormation may go on with the stack ${name} by itself. ${unchanged}`);
    say('Run ./deploy.sh again to see it to its end.');
    throw error;
  }
  const { status, failures } = ending;
  if (/^(?:CREATE|UPDATE|DELETE)_COMPLETE$/.test(status)) return;
  for (const failure of failures) say(failure);
  throw new KmsPocError(
    'Unexpected',
    `The stack ${name} could not be ${token.startsWith('delete') ? 'deleted' : 'made as wanted'} (${status}).`,
    token.startsWith('delete')
      ? "A group with members of your own can't be deleted: remove them from it, then try again."
      : `${status.endsWith('_COMPLETE') ? 'CloudFormation has undone the change.' : 'CloudFormation could not undo all of it: see its console.'} ${unchanged}`,
  );
}

/** Names a change set, and the events of an operation. */
const newToken = (what: 'deploy' | 'delete'): string => `${what}-${randomUUID()}`;
