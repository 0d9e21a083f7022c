/** What has to be known of a template in infra/ before CloudFormation reads it. */
import { isSeq, type Node, parseDocument, type Scalar, type YAMLMap } from 'yaml';

import { usageError } from '../errors.ts';

interface Parameter {
  readonly Type: string;
  readonly Default?: string | number;
  readonly AllowedPattern?: string;
  readonly AllowedValues?: readonly string[];
  readonly MinValue?: number;
  readonly MaxValue?: number;
}

/** Values of parameters and outputs, by name. */
export type Values = Readonly<Record<string, string>>;

export interface Resource {
  readonly name: string;
  readonly type: string;
}

export interface Template {
  /** Such as `infra/kms.yml`. */
  readonly file: string;
  readonly body: string;
  /** What a stack that was made from it is known by: in its metadata, and as a tag. */
  readonly mark: string;
  readonly defaults: Values;
  readonly parameterNames: readonly string[];
  readonly outputNames: readonly string[];
  /** @throws KmsPocError Usage, if CloudFormation would refuse the value */
  readonly checkParameter: (name: string, value: string) => void;
  /** The resources that there are with these values of all parameters. */
  readonly resources: (values: Values) => Resource[];
}

/** @param body in YAML, with CloudFormation's tags (`!Ref`) */
export function parseTemplate(file: string, body: string): Template {
  const document = parseDocument(body, { logLevel: 'error' });
  const section = (name: string): YAMLMap<Scalar<string>, Node> =>
    document.get(name) as YAMLMap<Scalar<string>, Node>;
  const namesIn = (name: string): string[] => section(name).items.map(({ key }) => key.value);
  const parameters = section('Parameters').toJSON() as Record<string, Parameter>;
  const defaults = Object.fromEntries(
    Object.entries(parameters).map(([name, { Default }]) => [name, String(Default ?? '')]),
  );

  /** Knows only the functions in the conditions of whole resources. */
  const holds = (node: Node | undefined, values: Values): boolean => {
    const items = isSeq<Node>(node) ? node.items : [];
    const text = (each: Node | undefined): string => {
      const { value } = each as Scalar<string>;
      return each?.tag === '!Ref' ? (values[value] ?? '') : value;
    };
    switch (node?.tag) {
      case '!And':
        return items.every((each) => holds(each, values));
      case '!Equals':
        return text(items[0]) === text(items[1]);
    }
    throw new Error(`${file}: a condition with ${node?.tag ?? 'nothing'}`);
  };

  return {
    file,
    body,
    mark: (section('Metadata').toJSON() as { 'kms-poc': string })['kms-poc'],
    defaults,
    parameterNames: Object.keys(parameters),
    outputNames: namesIn('Outputs'),
    checkParameter: (name, value) => {
      const declared = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
      if (declared === undefined) {
        throw usageError(
          `${file} has no parameter ${name}.`,
          `It has: ${Object.keys(parameters).join(' ')}`,
        );
      }
      const rule = brokenRule(declared, value);
      if (rule !== undefined) throw usageError(`Not a value of ${name}: ${value}.`, `${rule}.`);
    },
    resources: (values) =>
      section('Resources').items.flatMap(({ key, value }) => {
        const members = value as unknown as YAMLMap<string, Scalar<string>>;
        const condition = members.get('Condition') as string | undefined;
        if (condition !== undefined && !holds(section('Conditions').get(condition), values)) {
          return [];
        }
        return [{ name: key.value, type: members.get('Type') as unknown as string }];
      }),
  };
}

/** @returns the rule of a parameter that the value breaks */
function brokenRule(parameter: Parameter, value: string): string | undefined {
  const { Type, AllowedPattern, AllowedValues, MinValue = 0, MaxValue = 1e9 } = parameter;
  if (AllowedValues !== undefined && !AllowedValues.includes(value)) {
    return `It is one of ${AllowedValues.join(', ')}`;
  }
  if (Type === 'Number' && !(/^\d{1,9}$/.test(value) && +value >= MinValue && +value <= MaxValue)) {
    return `It is a number from ${MinValue} to ${MaxValue}`;
  }
  const parts = Type === 'CommaDelimitedList' ? value.split(',') : [value];
  if (
    AllowedPattern !== undefined &&
    !parts.every((each) => new RegExp(AllowedPattern).test(each))
  ) {
    return `${parts.length > 1 ? 'Each' : 'It'} has to match ${AllowedPattern}`;
  }
  return undefined;
}
