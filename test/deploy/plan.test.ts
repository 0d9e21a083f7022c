import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { planParameters, requireShortPolicies } from '../../src/deploy/plan.ts';
import { parseTemplate } from '../../src/deploy/template.ts';
import { readTemplate } from '../support/template.ts';

const file = join(import.meta.dirname, '..', '..', 'infra', 'kms.yml');
const template = parseTemplate('infra/kms.yml', readFileSync(file, 'utf8'));

test('the resources that are announced are those of the template with its conditions', () => {
  for (const parameters of [
    {},
    { SecretDelivery: 'Output' },
    { Credentials: 'None' },
    { Credentials: 'None', SecretDelivery: 'Output' },
  ]) {
    const { values } = planParameters(template, parameters);
    const announced = template.resources(values).map(({ name }) => name);
    assert.deepEqual(announced, Object.keys(readTemplate('kms.yml', { parameters }).resources));
  }
});

describe("a policy's 5,120 characters", () => {
  const names = (count: number): string =>
    Array.from({ length: count }, (_, index) => `user${String(index).padStart(4, '0')}`).join(',');
  const arn = (id: number, region = 'ap-southeast-1'): string =>
    `arn:aws-us-gov:kms:${region}:111122223333:key/mrk-${String(id).padStart(32, '0')}`;
  const arns = (count: number): string =>
    Array.from({ length: count }, (_, index) => arn(index)).join(',');

  /** The longest group policy in the template, as IAM counts it: without white space. */
  const longest = (parameters: Record<string, string>): number => {
    const { resources } = readTemplate('kms.yml', {
      parameters,
      pseudo: { Partition: 'aws-us-gov', Region: 'ap-southeast-1' },
      physical: { theKey: `mrk-${'0'.repeat(32)}`, 'theKey.Arn': arn(0) },
    });
    const groups = Object.values(resources).filter(({ type }) => type === 'AWS::IAM::Group');
    return Math.max(
      ...groups.map(({ properties }) => {
        const [policy] = properties.Policies as { PolicyDocument: unknown }[];
        return JSON.stringify(policy?.PolicyDocument).length;
      }),
    );
  };

  for (const parameters of [
    {},
    { MultiRegion: 'false', UserIs: 'PrincipalTag', ContextKeys: 'user,aws-crypto-public-key' },
    { BackupKeyArns: arns(6), UserIs: 'PrincipalTag' },
    { ReEncryptToKeyArns: arns(5), BackupKeyArns: arns(2) },
  ] as Record<string, string>[]) {
    test(`are never exceeded with ${Object.keys(parameters).join(', ') || 'the defaults'}`, () => {
      const isAccepted = (users: string): boolean => {
        const { values } = planParameters(template, { ...parameters, AllowedUsers: users });
        try {
          requireShortPolicies(values);
          return true;
        } catch (error) {
          assert.match((error as Error).message, /too long for a policy/);
          return false;
        }
      };
      let accepted = 1;
      let refused = 1_000;
      while (refused - accepted > 1) {
        const middle = Math.floor((accepted + refused) / 2);
        if (isAccepted(names(middle))) accepted = middle;
        else refused = middle;
      }
      const size = longest({ ...parameters, AllowedUsers: names(accepted) });
      assert.ok(size <= 5_120, `${accepted} users make ${size} characters`);
      // Nor is more than a tenth of the room wasted.
      assert.ok(size > 4_100, `${accepted} users make only ${size} characters`);
    });
  }
});
