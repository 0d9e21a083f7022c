/**
 * A KMS that only counts: each data key's ciphertext is the data key itself. What a command takes is
 * then its own work. (moto needs more time for a call than a command does.)
 */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

const keyArn = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const start = Buffer.from('0102020078', 'hex');
/** As long as the ones that KMS makes. */
const rest = Buffer.alloc(184 - start.length - 32);

export interface StandInKms {
  readonly env: Record<string, string>;
  /** @returns how many calls there were since it was last asked */
  readonly countCalls: () => number;
  readonly stop: () => void;
}

export async function startStandInKms(): Promise<StandInKms> {
  let calls = 0;
  const server = createServer((request, response) => {
    calls += 1;
    void text(request).then((body) => {
      const { CiphertextBlob } = JSON.parse(body) as { CiphertextBlob?: string };
      const dataKey =
        CiphertextBlob === undefined
          ? randomBytes(32)
          : Buffer.from(CiphertextBlob, 'base64').subarray(start.length, start.length + 32);
      const answer = {
        KeyId: keyArn,
        Plaintext: dataKey.toString('base64'),
        CiphertextBlob: Buffer.concat([start, dataKey, rest]).toString('base64'),
      };
      response.setHeader('content-type', 'application/x-amz-json-1.1').end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    env: {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'any',
      AWS_SECRET_ACCESS_KEY: 'any',
      KEY_ID: keyArn,
    },
    countCalls: () => {
      const count = calls;
      calls = 0;
      return count;
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
