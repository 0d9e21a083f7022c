import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { EncryptCommand, type EncryptCommandOutput, KMSClient } from '@aws-sdk/client-kms';
import {
  awsError,
  type FaultProxy,
  htmlPage,
  refusingEndpoint,
  startFaultProxy,
  unknownHostEndpoint,
} from './fault-proxy.ts';
import { type Moto, startMoto } from './moto.ts';

let moto: Moto;
let proxy: FaultProxy;
before(async () => {
  moto = await startMoto();
  await moto.createKey({ alias: 'theKey' });
  proxy = await startFaultProxy({ target: moto.endpoint });
});
beforeEach(() => {
  proxy.reset();
});
after(async () => {
  await proxy.stop();
  await moto.stop();
});

function encryptBy(
  endpoint: string,
  { maxAttempts = 1, abortSignal }: { maxAttempts?: number; abortSignal?: AbortSignal } = {},
): Promise<EncryptCommandOutput> {
  const { credentials, region } = moto.kms().config;
  const client = new KMSClient({ endpoint, credentials, region, maxAttempts });
  const input = { KeyId: 'alias/theKey', Plaintext: Buffer.from('this is a secret') };
  return client.send(new EncryptCommand(input), abortSignal && { abortSignal });
}

test('without a fault it passes requests on and remembers them', async () => {
  const { KeyId } = await encryptBy(proxy.endpoint);
  assert.match(KeyId ?? '', /^arn:aws:kms:eu-central-1:/);
  assert.equal(proxy.requests[0]?.operation, 'Encrypt');
  assert.equal(proxy.requests[0].body?.KeyId, 'alias/theKey');
  assert.deepEqual([proxy.count(), proxy.count('Decrypt')], [1, 0]);
});

test('a fault for two requests is over by the third', async () => {
  proxy.fault(awsError('DisabledException'), { operation: 'Decrypt' });
  proxy.fault(awsError('ThrottlingException', 400, 'Rate exceeded'), { times: 2 });
  await encryptBy(proxy.endpoint, { maxAttempts: 3 });
  assert.equal(proxy.count('Encrypt'), 3);
});

test('errors come as AWS sends them, and as a proxy in between does', async () => {
  proxy.fault(awsError('DisabledException', 400, 'key is disabled'), { times: 1 });
  await assert.rejects(encryptBy(proxy.endpoint), {
    name: 'DisabledException',
    message: 'key is disabled',
  });
  proxy.fault(htmlPage(503));
  await assert.rejects(encryptBy(proxy.endpoint), (error: { $metadata?: unknown }) => {
    assert.equal((error.$metadata as { httpStatusCode?: number }).httpStatusCode, 503);
    return true;
  });
});

for (const [name, fault] of [
  ['reset at the request', { kind: 'reset', when: 'at-request' }],
  ['reset in the answer', { kind: 'reset', when: 'in-answer' }],
  ['cut', { kind: 'cut' }],
] as const) {
  test(`a connection that is ${name}`, async () => {
    proxy.fault(fault);
    await assert.rejects(encryptBy(proxy.endpoint), { code: 'ECONNRESET' });
    assert.equal(proxy.count('Encrypt'), 1);
  });
}

test('no answer', async () => {
  proxy.fault({ kind: 'silence' });
  // An event from the proxy, not a clock, says when to stop waiting for a response.
  const abort = new AbortController();
  const pending = encryptBy(proxy.endpoint, { abortSignal: abort.signal });
  pending.catch(() => undefined);
  await proxy.arrival('Encrypt');
  abort.abort();
  await assert.rejects(pending, { name: 'AbortError' });
});

test('a changed answer', async () => {
  proxy.fault({ kind: 'rewrite', rewrite: (answer) => ({ ...answer, KeyId: 'another' }) });
  assert.equal((await encryptBy(proxy.endpoint)).KeyId, 'another');
});

test('endpoints that nobody answers, and one that nobody trusts', async () => {
  await assert.rejects(encryptBy(refusingEndpoint), { code: 'ECONNREFUSED' });
  // EAI_AGAIN on a machine that reaches no name server
  await assert.rejects(encryptBy(unknownHostEndpoint), { code: /^(ENOTFOUND|EAI_AGAIN)$/ });
  const secure = await startFaultProxy({ tls: true });
  await assert.rejects(encryptBy(secure.endpoint), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  assert.equal(secure.count(), 0);
  await secure.stop();
});
