import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { isAwsHost } from '../../src/kms/hosts.ts';
import { run, temporaryFolder } from '../support/command.ts';

test('which hosts are AWS KMS itself', () => {
  for (const host of [
    'kms.eu-central-1.amazonaws.com',
    'kms-fips.us-gov-west-1.amazonaws.com',
    'kms.eu-central-1.api.aws',
    'kms.cn-north-1.amazonaws.com.cn',
    'kms.eusc-de-east-1.amazonaws.eu',
    'vpce-0a1b-2c3d.kms.eu-central-1.vpce.amazonaws.com',
  ]) {
    assert.ok(isAwsHost(host, 'kms'), host);
  }
});

test("which hosts are not, though some are under AWS's domains", () => {
  for (const host of [
    'localhost',
    '127.0.0.1',
    'example.com',
    'amazonaws.com',
    'kms.eu-central-1.amazonaws.com.example.com',
    'kms.eu-central-1.example.com',
    'kms.eu-central-1.not-amazonaws.com',
    // These can be anyone's: a load balancer, an API gateway, a bucket, an endpoint service.
    'kms-1234.eu-central-1.elb.amazonaws.com',
    'kms.eu-central-1.elb.amazonaws.com',
    'a1b2.execute-api.eu-central-1.amazonaws.com',
    'kms.s3.amazonaws.com',
    'kms.s3.eu-central-1.amazonaws.com',
    'kms.s3-website.eu-central-1.amazonaws.com',
    'kms.s3-eu-west-1.amazonaws.com',
    'vpce-svc-0a1b.eu-central-1.vpce.amazonaws.com',
  ]) {
    assert.ok(!isAwsHost(host, 'kms'), host);
  }
});

test('which hosts are AWS STS itself', () => {
  for (const host of [
    'sts.eu-central-1.amazonaws.com',
    'sts-fips.us-gov-west-1.amazonaws.com',
    'vpce-0a1b-2c3d.sts.eu-central-1.vpce.amazonaws.com',
  ]) {
    assert.ok(isAwsHost(host, 'sts'), host);
    assert.ok(!isAwsHost(host, 'kms'), host);
  }
  assert.ok(!isAwsHost('kms.eu-central-1.amazonaws.com', 'sts'));
});

test('a data or cache folder that is empty or relative counts as not set', async () => {
  for (const folder of ['', 'here']) {
    const [home, cwd] = [temporaryFolder(), temporaryFolder()];
    const env = { XDG_DATA_HOME: folder, XDG_CACHE_HOME: folder };
    const args = ['-u', 'alice', '-k', 'local'];
    const { status, stderr } = await run('kms-encrypt', args, { stdin: 'x', home, cwd, env });
    assert.equal(status, 0, stderr);
    assert.deepEqual(readdirSync(cwd), []);
    assert.ok(readdirSync(home).length > 0);
  }
});
