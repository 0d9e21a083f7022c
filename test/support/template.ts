/**
 * Reads a CloudFormation template from infra/ the way CloudFormation does, resolving parameters and
 * the intrinsic functions that these templates use. Any other function is an error.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAlias, isMap, isScalar, isSeq, type Node, parseDocument } from 'yaml';

const infraFolder = join(import.meta.dirname, '..', '..', 'infra');

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
export type JsonObject = Record<string, Json>;

export interface Template {
  /** All resources whose condition holds, with their Properties resolved. */
  resources: Record<string, { type: string; attributes: JsonObject; properties: JsonObject }>;
  /** The values of the outputs, and the names under which they are exported. */
  outputs: Record<string, { value: Json; exportName: Json | undefined }>;
  /** Each parameter's value: the given one, or its default. */
  parameters: Record<string, string>;
}

export interface Deployment {
  /** Parameters as they are given to CloudFormation, with lists joined by commas. */
  parameters?: Record<string, string>;
  /** The values of `!Ref theKey` and `!GetAtt theKey.Arn`; by default `theKey` and `theKey.Arn`. */
  physical?: Record<string, string>;
  /** Pseudo parameters, without `AWS::`. */
  pseudo?: Record<string, string>;
}

const standardPseudo = {
  AccountId: '111122223333',
  Partition: 'aws',
  Region: 'eu-central-1',
  StackName: 'kms-poc',
};

/** `!Ref AWS::NoValue`: removes the property or list element whose value it is. */
const noValue = Symbol('AWS::NoValue');
type Resolved = Json | typeof noValue;

/**
 * @param file the name of a template in infra/
 * @throws if a parameter has no value, or the template uses something that is not supported here
 */
export function readTemplate(file: string, deployment: Deployment = {}): Template {
  const source = readFileSync(join(infraFolder, file), 'utf8');
  // YAML doesn't know tags such as !Ref, but keeps them on the node, and that is all we need.
  const document = parseDocument(source, { logLevel: 'error' });
  if (document.errors.length > 0) throw new Error(`${file}: ${String(document.errors[0])}`);
  const section = (name: string): [string, Node][] => pairsOf(document.get(name) as Node);

  const parameters: Record<string, string> = {};
  const lists = new Set<string>();
  for (const [name, node] of section('Parameters')) {
    const declared = plain(node) as { Type: string; Default?: string | number };
    const value = deployment.parameters?.[name] ?? declared.Default;
    if (value === undefined) throw new Error(`${file}: parameter ${name} has no value`);
    parameters[name] = String(value);
    if (declared.Type === 'CommaDelimitedList') lists.add(name);
  }
  for (const name of Object.keys(deployment.parameters ?? {})) {
    if (!(name in parameters)) throw new Error(`${file} has no parameter ${name}`);
  }

  const pseudo: Record<string, string> = { ...standardPseudo, ...deployment.pseudo };
  const conditionNodes = new Map(section('Conditions'));
  const resourceNames = new Set(section('Resources').map(([name]) => name));

  const condition = (name: string): boolean => {
    const node = conditionNodes.get(name);
    if (node === undefined) throw new Error(`${file} has no condition ${name}`);
    return resolve(node) === true;
  };
  const reference = (name: string): Resolved => {
    if (name === 'AWS::NoValue') return noValue;
    const value = name.startsWith('AWS::') ? pseudo[name.slice(5)] : parameters[name];
    if (value !== undefined) return lists.has(name) ? value.split(',') : value;
    return physical(name);
  };
  const physical = (name: string): string => {
    const [resource = ''] = name.split('.');
    if (!resourceNames.has(resource)) throw new Error(`${file}: nothing is called ${name}`);
    return deployment.physical?.[name] ?? name;
  };
  const functions: Record<string, (node: Node) => Resolved> = {
    '!Ref': (node) => reference(scalar(node)),
    '!GetAtt': (node) => physical(scalar(node)),
    '!Sub': (node) =>
      scalar(node).replace(/\$\{([^}!]+)\}/g, (_, name: string) => reference(name) as string),
    '!If': (node) => {
      const [name, then, otherwise] = itemsOf(node);
      if (!name || !then || !otherwise) throw new Error('!If needs three values');
      return resolve(condition(scalar(name)) ? then : otherwise);
    },
    '!Equals': (node) => {
      const [left, right] = itemsOf(node).map(resolve);
      return left === right;
    },
    '!And': (node) => itemsOf(node).every((each) => resolve(each) === true),
    '!Not': (node) => itemsOf(node).map(resolve)[0] !== true,
    '!Join': (node) => {
      const [separator, values] = itemsOf(node).map(resolve);
      return (values as string[]).join(separator as string);
    },
  };

  function resolve(node: Node): Resolved {
    if (node.tag?.startsWith('!') === true && node.tag !== '!') {
      const intrinsic = functions[node.tag];
      if (intrinsic === undefined) throw new Error(`${file}: ${node.tag} is not understood`);
      return intrinsic(node);
    }
    if (isMap(node)) {
      const pairs = pairsOf(node).map(([name, value]) => [name, resolve(value)] as const);
      return Object.fromEntries(
        pairs.filter((pair): pair is readonly [string, Json] => pair[1] !== noValue),
      );
    }
    if (isSeq(node)) {
      return itemsOf(node)
        .map(resolve)
        .filter((value): value is Json => value !== noValue);
    }
    return plain(node);
  }

  const resources: Template['resources'] = {};
  for (const [name, node] of section('Resources')) {
    const members = new Map(pairsOf(node));
    const when = members.get('Condition');
    if (when !== undefined && !condition(scalar(when))) continue;
    const { Type, Properties, ...attributes } = resolve(node) as JsonObject;
    resources[name] = {
      type: Type as string,
      attributes,
      properties: (Properties ?? {}) as JsonObject,
    };
  }
  const outputs: Template['outputs'] = {};
  for (const [name, node] of section('Outputs')) {
    const when = new Map(pairsOf(node)).get('Condition');
    if (when !== undefined && !condition(scalar(when))) continue;
    const { Value, Export } = resolve(node) as { Value: Json; Export?: { Name: Json } };
    outputs[name] = { value: Value, exportName: Export?.Name };
  }
  return { resources, outputs, parameters };
}

function pairsOf(node: Node | undefined): [string, Node][] {
  if (node === undefined) return [];
  if (!isMap(node)) throw new Error('a mapping was expected');
  return node.items.map((pair) => [scalar(pair.key as Node), pair.value as Node]);
}

function itemsOf(node: Node): Node[] {
  if (!isSeq(node)) throw new Error('a list was expected');
  return node.items as Node[];
}

function scalar(node: Node): string {
  if (!isScalar(node)) throw new Error('a plain value was expected');
  return String(node.value);
}

/** A node without intrinsic functions in it. YAML aliases are refused, as in CloudFormation. */
function plain(node: Node): Json {
  if (isAlias(node)) throw new Error('CloudFormation knows no YAML aliases');
  return node.toJSON() as Json;
}
