/** What a deployment is going to do, worked out before anything is done. */
import type { Parameter } from '@aws-sdk/client-cloudformation';

import { usageError } from '../errors.ts';
import type { Stack } from './stack.ts';
import type { Template, Values } from './template.ts';

/** IAM allows a group's inline policies this many characters, not counting white space. */
const maxPolicyCharacters = 5120;

/** A month, in US dollars, at the prices of most Regions: docs/aws.md, "What it costs a month". */
const prices: Readonly<Record<string, number>> = {
  'AWS::KMS::Key': 1,
  'AWS::SecretsManager::Secret': 0.4,
};
const replicaPrice = 1;

/** The values of a stack's parameters: those given now, those it has, and the template's defaults. */
export interface ParameterPlan {
  readonly given: Values;
  readonly previous: Values;
  readonly values: Values;
}

export function planParameters(
  { defaults }: Template,
  given: Values,
  previous: Values = {},
): ParameterPlan {
  const kept = Object.entries(previous).filter(([name]) => Object.hasOwn(defaults, name));
  return {
    given,
    previous,
    values: { ...defaults, ...Object.fromEntries(kept), ...given },
  };
}

/** For a change set. What is not given stays as it is, and what the stack doesn't have is the default. */
export const parametersOf = ({ given, previous, values }: ParameterPlan): Parameter[] =>
  Object.keys(values).flatMap((name): Parameter[] =>
    Object.hasOwn(given, name)
      ? [{ ParameterKey: name, ParameterValue: given[name] }]
      : Object.hasOwn(previous, name)
        ? [{ ParameterKey: name, UsePreviousValue: true }]
        : [],
  );

/** A line for each parameter that is not the template's default, or is changed, or is no longer there. */
export function parameterLines(
  { defaults }: Template,
  { previous, values }: ParameterPlan,
): string[] {
  const names = [...new Set([...Object.keys(values), ...Object.keys(previous)])];
  return columns(
    names.flatMap((name) => {
      const before = previous[name] ?? defaults[name] ?? '';
      const after = values[name];
      if (after === undefined) return [[name, `${shown(before)} -> (no longer a parameter)`]];
      if (after !== before) return [[name, `${shown(before)} -> ${shown(after)}`]];
      return after === defaults[name] ? [] : [[name, shown(after)]];
    }),
  );
}

const shown = (value: string): string => (value === '' ? '(empty)' : value);

/** @param replicas how many there will be */
export function costLine(template: Template, values: Values, replicas: number): string {
  const sum = template
    .resources(values)
    .reduce((total, { type }) => total + (prices[type] ?? 0), replicas * replicaPrice);
  return `Cost     about ${sum.toFixed(2)} US dollars a month, and requests (docs/aws.md)`;
}

/** Indented, in columns as wide as they need to be. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(...rows.map(([first = '']) => first.length));
  return rows.map(([first = '', ...rest]) => ['  ' + first.padEnd(width), ...rest].join('  '));
}

/**
 * Upper bounds, measured: of the longest group policy without its lists, and how often it has them.
 * (infra/kms.yml; test/deploy/plan.test.ts compares.)
 *
 * @throws KmsPocError Usage, if the users don't fit into a policy
 */
export function requireShortPolicies(values: Values): void {
  const {
    AllowedUsers: users = '',
    ContextKeys: names = '',
    BackupKeyArns: backups = '',
    ReEncryptToKeyArns: destinations = '',
  } = values;
  const copies = destinations === '' ? 2 : 4;
  const lists = [users, backups + destinations, names].join();
  const commas = lists.split(',').length - 1;
  const size =
    1500 +
    copies * (users.length + names.length + 2 * commas) +
    2 * (backups.length + destinations.length);
  if (size <= maxPolicyCharacters) return;
  throw usageError(
    `The list of users is too long for a policy (about ${size} characters of ${maxPolicyCharacters}).`,
    'Use * for any user, or fewer names in this stack and another stack for the rest.',
  );
}

/**
 * The serial number of the next access keys. It is AWS's data: nothing but a number is counted up.
 *
 * @throws KmsPocError Usage
 */
export function nextSerial({ name, parameters }: Stack): string {
  const { CredentialsSerial: serial = '' } = parameters;
  if (/^\d{1,8}$/.test(serial)) return String(Number(serial) + 1);
  throw usageError(
    `CredentialsSerial of the stack ${name} is not a number: ${serial}.`,
    'Set it to a number that it has not had yet: --parameter CredentialsSerial=…',
  );
}
