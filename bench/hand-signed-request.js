// The floor for start-up: one KMS Encrypt, signed by hand (Signature Version 4), no packages.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { createHash, createHmac } from 'node:crypto';
import { argv, env, exit, stdin, stdout } from 'node:process';

if (argv.length > 2) exit(2);
const chunks = [];
for await (const chunk of stdin) chunks.push(chunk);
const body = JSON.stringify({
  KeyId: env.KEY_ID,
  Plaintext: Buffer.concat(chunks).toString('base64'),
  EncryptionContext: { user: 'alice' },
});
const { host, protocol } = new URL(env.AWS_ENDPOINT_URL);
const { request } = await import(protocol === 'https:' ? 'node:https' : 'node:http');
const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
const day = time.slice(0, 8);
const scope = `${day}/${env.AWS_REGION}/kms/aws4_request`;
const hash = (text) => createHash('sha256').update(text).digest('hex');
const mac = (key, text) => createHmac('sha256', key).update(text).digest();
const signed = 'content-type;host;x-amz-date;x-amz-target';
const headers = {
  'content-type': 'application/x-amz-json-1.1',
  host,
  'x-amz-date': time,
  'x-amz-target': 'TrentService.Encrypt',
};
const canonicalHeaders = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
const canonical = ['POST', '/', '', canonicalHeaders.join(''), signed, hash(body)].join('\n');
const toSign = ['AWS4-HMAC-SHA256', time, scope, hash(canonical)].join('\n');
const key = [day, env.AWS_REGION, 'kms', 'aws4_request'].reduce(
  mac,
  `AWS4${env.AWS_SECRET_ACCESS_KEY}`,
);
headers.authorization = `AWS4-HMAC-SHA256 Credential=${env.AWS_ACCESS_KEY_ID}/${scope}, SignedHeaders=${signed}, Signature=${mac(key, toSign).toString('hex')}`;
request(env.AWS_ENDPOINT_URL, { method: 'POST', headers }, (answer) => {
  const parts = [];
  answer.on('data', (part) => parts.push(part));
  answer.on('end', () => {
    const { CiphertextBlob } = JSON.parse(Buffer.concat(parts).toString());
    if (CiphertextBlob === undefined) exit(1);
    stdout.write(`${CiphertextBlob}\n`, () => exit(0));
  });
}).end(body);
