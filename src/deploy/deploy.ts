/** Brings the stack up to date, and its replicas. */
import { usageError } from '../errors.ts';
import { apply } from './apply.ts';
import { type Access, connect, enter } from './aws.ts';
import type { Dialogue } from './dialogue.ts';
import {
  costLine,
  nextSerial,
  parameterLines,
  type ParameterPlan,
  planParameters,
  requireShortPolicies,
} from './plan.ts';
import { existingReplicas } from './replicas.ts';
import {
  checkOutputs,
  isToBeMade,
  readIdleStack,
  readStack,
  requireOurs,
  type Stack,
} from './stack.ts';
import { type NewSettings, settingsOf } from './settings.ts';
import type { Template, Values } from './template.ts';

export const defaultStack = 'kms-poc';

/** What the person wants. */
export interface Wishes {
  readonly stackName: string;
  readonly region: string | undefined;
  /** Undefined: as in the stack, or alice and bob. */
  readonly users: string | undefined;
  readonly parameters: Values;
  readonly replicaRegions: readonly string[];
  readonly newCredentials: boolean;
  readonly adopt: boolean;
  readonly dryRun: boolean;
  readonly templates: { readonly main: Template; readonly replica: Template };
}

export interface Deployed {
  /** As it was before. */
  readonly before: Stack | undefined;
  /** As it is now, with checked outputs. */
  readonly stack: Stack;
  readonly users: string;
  readonly settings: NewSettings;
  readonly isChanged: boolean;
}

/**
 * @returns undefined after a dry run
 * @throws KmsPocError; Declined
 */
export async function deploy(
  access: Access,
  wishes: Wishes,
  dialogue: Dialogue,
): Promise<Deployed | undefined> {
  const { stackName, templates, dryRun } = wishes;
  const aws = await enter(access, wishes.region, dialogue);
  const before = await readIdleStack(aws, stackName, dialogue.say);
  if (before !== undefined && !wishes.adopt) await requireOurs(aws, before, templates.main);
  const existing = isToBeMade(before) ? undefined : before;
  const plan = planParameters(
    templates.main,
    existing === undefined ? forNewStack(wishes) : forExistingStack(wishes, existing),
    existing?.parameters,
  );
  const { AllowedUsers: users = '' } = plan.values;
  templates.main.checkParameter('AllowedUsers', users); // they may be what AWS returned
  requireShortPolicies(plan.values);
  const replicas = new Set(wishes.replicaRegions);
  if (replicas.has(aws.region)) {
    throw usageError(
      `The key itself is in ${aws.region}, so a replica can't be.`,
      'Choose another Region for --replica-region.',
    );
  }
  if (existing !== undefined) {
    for (const region of await existingReplicas(aws, existing)) replicas.add(region);
  }
  dialogue.say(`Stack    ${stackName} (${before?.status ?? 'new'})`);
  dialogue.say(`Users    ${users.replaceAll(',', ', ')}`);
  for (const region of replicas) dialogue.say(`Replica  ${region}, stack ${stackName}-replica`);
  dialogue.say(costLine(templates.main, plan.values, replicas.size));
  sayParameters(templates.main, plan, dialogue);
  if (wishes.newCredentials && existing !== undefined) {
    dialogue.say('Both access keys will be replaced. The old ones stop working.');
  }

  const question =
    existing === undefined
      ? `Create the key and its stack ${stackName}?`
      : `Change the stack ${stackName}?`;
  const target = { name: stackName, stack: before, template: templates.main, plan, question };
  let isChanged = await apply(aws, target, dialogue, dryRun);
  const known = existing?.outputs.theKeyArn === undefined ? undefined : existing;
  const stack = dryRun
    ? known
    : checkOutputs(await readStack(aws, stackName), templates.main, aws.region);
  for (const region of [...replicas].sort()) {
    if (stack === undefined) dialogue.say(`Then a replica of the key would be made in ${region}.`);
    else if (await deployReplica(access, region, stack, plan, wishes, dialogue)) isChanged = true;
  }
  if (dryRun || stack === undefined) return undefined;
  return { before: existing, stack, users, isChanged, settings: await settingsOf(aws, stack) };
}

function sayParameters(template: Template, plan: ParameterPlan, { say }: Dialogue): void {
  const lines = parameterLines(template, plan);
  if (lines.length > 0) say('Parameters, where they are not the defaults (old -> new)');
  for (const line of lines) say(line);
}

function forNewStack({ stackName, users, parameters, ...wishes }: Wishes): Values {
  return {
    // Aliases, and the names of exports, can be used only once.
    ...(stackName === defaultStack ? {} : { Alias: stackName, ExportPrefix: `${stackName}-` }),
    ...(wishes.replicaRegions.length === 0 ? {} : { MultiRegion: 'true' }),
    ...parameters,
    ...(users === undefined ? {} : { AllowedUsers: users }),
  };
}

/** @throws KmsPocError Usage, for what can't be changed */
function forExistingStack(
  { stackName, users, parameters, replicaRegions, newCredentials }: Wishes,
  stack: Stack,
): Values {
  const { MultiRegion: isMultiRegion = 'false' } = stack.parameters;
  if (replicaRegions.length > 0 && isMultiRegion !== 'true') {
    throw usageError(
      `The key of ${stackName} is not a multi-Region key and can't become one.`,
      'Create another stack: ./deploy.sh --stack-name NAME --replica-region REGION',
    );
  }
  if ((parameters.MultiRegion ?? isMultiRegion) !== isMultiRegion) {
    throw usageError(
      "MultiRegion can't be changed once the key is there.",
      'Create another stack, and re-encrypt the messages.',
    );
  }
  return {
    ...(newCredentials ? { CredentialsSerial: nextSerial(stack) } : {}),
    ...parameters,
    ...(users === undefined ? {} : { AllowedUsers: users }),
  };
}

/** Brings the replica in a Region up to date with the key. */
async function deployReplica(
  access: Access,
  region: string,
  primary: Stack,
  { values }: ParameterPlan,
  { stackName, adopt, dryRun, templates }: Wishes,
  dialogue: Dialogue,
): Promise<boolean> {
  const aws = await connect(access, region);
  const { replica: template } = templates;
  const name = `${stackName}-replica`;
  const stack = await readIdleStack(aws, name, dialogue.say);
  dialogue.say(`Replica  ${region}, stack ${name} (${stack?.status ?? 'new'})`);
  if (stack !== undefined && !adopt) await requireOurs(aws, stack, template);
  const shared = template.parameterNames.filter((each) => Object.hasOwn(values, each));
  const plan = planParameters(
    template,
    {
      ...Object.fromEntries(shared.map((each) => [each, values[each] ?? ''])),
      PrimaryKeyArn: primary.outputs.theKeyArn ?? '',
    },
    isToBeMade(stack) ? undefined : stack?.parameters,
  );
  if (adopt) sayParameters(template, plan, dialogue);
  const question = `Make the replica in ${region}?`;
  const isChanged = await apply(aws, { name, stack, template, plan, question }, dialogue, dryRun);
  if (!dryRun) checkOutputs(await readStack(aws, name), template, region);
  return isChanged;
}
