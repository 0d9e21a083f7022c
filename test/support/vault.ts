/**
 * The Vault of the tests: a real OpenBao server in memory, as a separate process, with a transit engine
 * and no keys at first.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { surroundings, temporaryFolder } from './command.ts';
import { pythonProgram } from './python.ts';

const startDeadlineMs = 30_000;

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
 * Starts a command of OpenBao that runs until `stop`, or until the test process ends, which it doesn't keep
 * alive.
 *
 * @param isReady matches what it prints when it can be used
 * @returns that match
 */
export async function startBao(
  args: readonly string[],
  isReady: RegExp,
): Promise<{ ready: RegExpExecArray; stop: () => Promise<void> }> {
  const child = spawn(
    'sh',
    // It would go on without the test process, whose end closes this standard input.
    ['-c', '"$@" & cat > /dev/null; kill -9 $!', 'sh', pythonProgram('bao'), ...args],
    { ...surroundings({}), stdio: 'pipe' },
  );
  let said = '';
  const ready = await new Promise<RegExpExecArray>((resolve, reject) => {
    const deadline = setTimeout(() => {
      child.stdin.end();
      reject(new Error(`bao did not start in time. It said: ${said}`));
    }, startDeadlineMs);
    const listen = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-20_000);
      const match = isReady.exec(said);
      if (match === null) return;
      clearTimeout(deadline);
      resolve(match);
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
  });
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    (stream as unknown as { unref: () => void }).unref();
  }
  return {
    ready,
    stop: () =>
      new Promise((resolve) => {
        child.ref();
        child.once('exit', () => {
          resolve();
        });
        child.stdin.end();
      }),
  };
}

/**
 * Starts a server on a free port of 127.0.0.1; it takes half a second.
 *
 * @param options.auditLog a file for its audit log
 * @param options.transit whether to mount the engine
 */
export async function startVault({
  tls = false,
  transit = true,
  auditLog,
}: { tls?: boolean; transit?: boolean; auditLog?: string } = {}): Promise<TestVault> {
  const folder = temporaryFolder();
  const config = join(folder, 'audit.hcl');
  if (auditLog !== undefined) {
    writeFileSync(
      config,
      `audit "file" "log" {\n  options {\n    file_path = "${auditLog}"\n  }\n}\n`,
    );
  }
  const {
    ready: [, clusterPort],
    stop,
  } = await startBao(
    [
      ...['server', '-dev', '-dev-root-token-id=root', '-dev-listen-address=127.0.0.1:0'],
      '-dev-no-store-token',
      ...(auditLog === undefined ? [] : [`-config=${config}`]),
      ...(tls ? ['-dev-tls', `-dev-tls-cert-dir=${folder}`] : []),
    ],
    // It takes the port after its own for its cluster, and tells only that one.
    /cluster address: "[\d.]+:(\d+)"[^]*server started!/,
  );
  const port = Number(clusterPort) - 1;

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
  if (transit) await call('sys/mounts/transit', { type: 'transit' });
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
    stop,
  };
}
