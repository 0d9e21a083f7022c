/**
 * The Vault of the tests: a real OpenBao server in memory, as a separate process, with a transit engine
 * and no keys at first.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { surroundings, temporaryFolder } from './command.ts';
import { pythonProgram } from './python.ts';

const startDeadlineMs = 60_000;

export interface TestVault {
  /** Such as `http://127.0.0.1:40519`. */
  endpoint: string;
  /** For commands that should use this server, with a token that may do anything. */
  env: Record<string, string>;
  /** The certificate authority to trust, with TLS. */
  certificateFile: string | undefined;
  /** A call of its API as root. Returns `data`, and throws for what is no success. */
  call: (
    path: string,
    body?: Record<string, unknown>,
    method?: string,
  ) => Promise<Record<string, unknown>>;
  /** Makes a key: aes256-gcm96, unless the options say otherwise. */
  createKey: (name: string, options?: Record<string, unknown>) => Promise<void>;
  /** Returns a token with this policy and the default one. */
  createToken: (policy: string, options?: Record<string, unknown>) => Promise<string>;
  stop: () => Promise<void>;
}

/**
 * Starts a server on a free port of 127.0.0.1; it takes half a second. It ends with `stop`, or by itself
 * with the test process, and doesn't keep that alive.
 */
export async function startVault({ tls = false }: { tls?: boolean } = {}): Promise<TestVault> {
  const folder = temporaryFolder();
  const child = spawn(
    pythonProgram('bao'),
    [
      ...['server', '-dev', '-dev-root-token-id=root', '-dev-listen-address=127.0.0.1:0'],
      '-dev-no-store-token',
      ...(tls ? ['-dev-tls', `-dev-tls-cert-dir=${folder}`] : []),
    ],
    { ...surroundings({}), stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const killed = (): void => void child.kill('SIGKILL');
  process.on('exit', killed);
  let said = '';
  const port = await new Promise<number>((resolve, reject) => {
    const fail = (what: string): void => {
      clearTimeout(deadline);
      child.kill('SIGKILL');
      reject(new Error(`bao ${what}. It said: ${said}`));
    };
    const deadline = setTimeout(() => {
      fail('did not start in time');
    }, startDeadlineMs);
    child.once('error', (error) => {
      fail(`could not be started: ${error.message}`);
    });
    child.once('close', () => {
      fail('ended at once');
    });
    const listen = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-20_000);
      // It takes the port after its own for its cluster, and tells only that one.
      const clusterPort = /cluster address: "[\d.]+:(\d+)"/.exec(said)?.[1];
      if (clusterPort === undefined || !said.includes('server started!')) return;
      clearTimeout(deadline);
      resolve(Number(clusterPort) - 1);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
  });
  child.unref();
  for (const stream of [child.stdout, child.stderr]) {
    (stream as unknown as { unref: () => void }).unref();
  }

  const certificateFile = tls
    ? join(folder, readdirSync(folder).find((name) => name.includes('ca.pem')) ?? '')
    : undefined;
  const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const call: TestVault['call'] = async (path, body, method = body ? 'POST' : 'GET') => {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      (tls ? httpsRequest : httpRequest)(
        `${endpoint}/v1/${path}`,
        {
          method,
          headers: { 'x-vault-token': 'root' },
          agent: false,
          ...(certificateFile !== undefined && { ca: readFileSync(certificateFile) }),
        },
        resolve,
      )
        .on('error', reject)
        .end(body && JSON.stringify(body));
    });
    if (response.statusCode === 204) return {};
    const answer = (await json(response)) as Record<string, unknown>;
    if (response.statusCode !== 200) {
      throw new Error(`${path}: ${response.statusCode} ${JSON.stringify(answer)}`);
    }
    return (answer.data ?? answer.auth ?? {}) as Record<string, unknown>;
  };
  await call('sys/mounts/transit', { type: 'transit' });
  let policies = 0;
  return {
    endpoint,
    certificateFile,
    call,
    env: {
      VAULT_ADDR: endpoint,
      VAULT_TOKEN: 'root',
      ...(certificateFile !== undefined && { VAULT_CACERT: certificateFile }),
    },
    createKey: async (name, options = {}) => {
      await call(`transit/keys/${name}`, options);
    },
    createToken: async (policy, options = {}) => {
      const name = `test-${++policies}`;
      await call(`sys/policies/acl/${name}`, { policy });
      const { client_token: token } = await call('auth/token/create', {
        policies: [name],
        ttl: '1h',
        ...options,
      });
      return String(token);
    },
    stop: () =>
      new Promise((resolve) => {
        process.off('exit', killed);
        child.ref();
        child.once('exit', () => {
          resolve();
        });
        child.kill('SIGKILL');
      }),
  };
}
