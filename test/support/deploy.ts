/** Runs deploy.sh as a user would, against moto, with a proxy in between that can inject faults. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type Environment, type Finished, run, surroundings } from './command.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { type Moto, startMoto } from './moto.ts';

export const deployScript = join(import.meta.dirname, '..', '..', 'deploy.sh');

/** Runs deploy.sh without a terminal. */
export const deploy = (
  args: string[],
  options: { cwd: string; env: Environment },
): Promise<Finished> => run(deployScript, args, { ...options, timeoutMs: 90_000 });

/** An AWS of its own for a test file. */
export interface TestAws {
  moto: Moto;
  /** Sees each request. */
  proxy: FaultProxy;
  /** For deploy.sh. */
  env: Record<string, string>;
  stop: () => Promise<void>;
}

export async function startAws(): Promise<TestAws> {
  const moto = await startMoto();
  const proxy = await startFaultProxy({ target: moto.endpoint });
  return {
    moto,
    proxy,
    env: { ...moto.env, AWS_ENDPOINT_URL: proxy.endpoint },
    stop: async () => {
      await proxy.stop();
      await moto.stop();
    },
  };
}

/**
 * Starts deploy.sh, lets it run until a request hangs, and sends it a signal then.
 *
 * @param operation that hangs, such as `CreateChangeSet`
 * @param options.after how many of these requests are answered before
 * @param options.again a further request that hangs, for a second signal
 */
export async function interruptAt(
  operation: string,
  args: string[],
  {
    aws: { proxy, env },
    cwd,
    signal = 'SIGINT',
    after = 0,
    again,
  }: {
    aws: TestAws;
    cwd: string;
    signal?: NodeJS.Signals;
    after?: number;
    again?: { operation: string; after: number };
  },
): Promise<{ signal: NodeJS.Signals | null; stderr: string }> {
  proxy.reset();
  proxy.fault({ kind: 'silence' }, { operation, after, times: 1 });
  if (again !== undefined) proxy.fault({ kind: 'silence' }, { ...again, times: 1 });
  const child = spawn(deployScript, args, {
    ...surroundings({ cwd, env }),
    stdio: ['ignore', 'ignore', 'pipe'],
    // A separate process group, which gets the signal as from Ctrl-C on a terminal.
    detached: true,
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = new Promise<NodeJS.Signals | null>((resolve) =>
    child.once('close', (_status, by) => {
      resolve(by);
    }),
  );
  await Promise.race([proxy.arrival(operation, after + 1), ended]);
  const send = (): void => {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, signal);
  };
  send();
  if (again !== undefined) {
    await Promise.race([proxy.arrival(again.operation, again.after + 1), ended]);
    send();
  }
  return { signal: await ended, stderr };
}
