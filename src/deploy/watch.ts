/** Follows an operation of CloudFormation to its end, resource by resource. */
import { DescribeStackEventsCommand, type StackEvent } from '@aws-sdk/client-cloudformation';

import { exitStatus, KmsPocError } from '../errors.ts';
import { type Aws, ask } from './aws.ts';
import { pause, readStack } from './stack.ts';

/** CloudFormation works on whether we look or not, so a look may fail. */
const maxFailedLooks = 5;

export interface Ending {
  /** Of the stack: `CREATE_COMPLETE`. */
  readonly status: string;
  /** The resources that failed, with reasons, and those whose change was undone. */
  readonly failures: readonly string[];
}

/**
 * @param token of the request that began the operation
 * @param say shows a line
 */
export async function watch(
  aws: Aws,
  stack: { readonly name: string; readonly id: string },
  token: string,
  say: (text: string) => void,
): Promise<Ending> {
  const said = new Set<string>();
  let failedLooks = 0;
  for (let look = 1; ; look += 1) {
    try {
      const events = await eventsOf(aws, stack, token);
      failedLooks = 0;
      for (const {
        LogicalResourceId: name = '',
        ResourceStatus: status = '',
      } of events.resources) {
        const line = `  ${wordFor(status).padEnd(8)} ${name}`;
        // The same status comes twice while a resource is made.
        if (!said.has(line)) say(line);
        said.add(line);
      }
      const status =
        events.status ?? (look % 15 === 0 ? await statusNow(aws, stack.id) : undefined);
      if (status !== undefined) return { status, failures: failuresIn(events.resources) };
    } catch (error) {
      failedLooks += 1;
      const isTransient = error instanceof KmsPocError && error.status === exitStatus.unavailable;
      if (!isTransient || failedLooks === maxFailedLooks) throw error;
    }
    await pause(aws);
  }
}

interface Events {
  /** In the order in which they happened. */
  readonly resources: readonly StackEvent[];
  /** The stack's, once the operation is over. */
  readonly status: string | undefined;
}

/** The first page has the newest 100: more than any operation here. */
async function eventsOf(
  aws: Aws,
  { name, id }: { readonly name: string; readonly id: string },
  token: string,
): Promise<Events> {
  const command = new DescribeStackEventsCommand({ StackName: id });
  const { StackEvents = [] } = await ask(aws, `${name} can't be watched`)(command);
  const own = StackEvents.filter((event) => event.ClientRequestToken === token).reverse();
  const isStack = (event: StackEvent): boolean =>
    event.ResourceType === 'AWS::CloudFormation::Stack';
  return {
    resources: own.filter((event) => !isStack(event)),
    status: own.filter(isStack).map(statusOf).findLast(isFinal),
  };
}

const statusOf = ({ ResourceStatus: status }: StackEvent): string => status ?? '';

/** The other way to learn of the end, should it not be among the newest events. */
async function statusNow(aws: Aws, id: string): Promise<string | undefined> {
  const { status = 'DELETE_COMPLETE' } = (await readStack(aws, id)) ?? {};
  return isFinal(status) ? status : undefined;
}

/** (CREATE_FAILED and UPDATE_FAILED are followed by a rollback.) */
const isFinal = (status: string): boolean =>
  /^(?:CREATE|UPDATE|DELETE|ROLLBACK|UPDATE_ROLLBACK)_COMPLETE$/.test(status) ||
  /^(?:DELETE|ROLLBACK|UPDATE_ROLLBACK)_FAILED$/.test(status);

/** @returns `creating`, `created`, `FAILED` and so on for CREATE_IN_PROGRESS … */
const wordFor = (status: string): string =>
  status.endsWith('_FAILED')
    ? 'FAILED'
    : status === 'DELETE_SKIPPED'
      ? 'kept'
      : status
          .toLowerCase()
          .replace(/e_in_progress$/, 'ing')
          .replace(/e_complete$/, 'ed');

function failuresIn(events: readonly StackEvent[]): string[] {
  // One that was only given up because another failed has no reason of its own.
  const isFailure = (event: StackEvent): boolean =>
    statusOf(event).endsWith('_FAILED') &&
    event.ResourceStatusReason?.endsWith('cancelled') !== true;
  const first = events.findIndex(isFailure);
  const undone = events
    .slice(first)
    .filter((event) => first >= 0 && /^(?:DELETE|UPDATE)_COMPLETE$/.test(statusOf(event)))
    .map(({ LogicalResourceId: name = '' }) => name);
  return [
    ...events
      .filter(isFailure)
      .map(
        ({ LogicalResourceId, ResourceType, ResourceStatusReason = 'no reason given' }) =>
          `failed: ${LogicalResourceId ?? ''} (${ResourceType ?? ''}): ${ResourceStatusReason}`,
      ),
    ...(undone.length === 0 ? [] : [`undone: ${[...new Set(undone)].join(', ')}`]),
  ];
}
