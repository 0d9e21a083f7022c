/**
 * What a single message feels like: whole processes, from start to end, on each version of Node.
 *
 * The floor is the same KMS request, signed by hand over node:http, without any package.
 */
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';

import { surroundings, temporaryFolder } from '../test/support/command.ts';
import { selfSigned } from '../test/support/fault-proxy.ts';
import { startMoto } from '../test/support/moto.ts';
import { pythonProgram } from '../test/support/python.ts';
import { nodePrograms, versionOf } from './nodes.ts';
import { command } from './programs.ts';
import { type Case, measure, time } from './rounds.ts';
import type { Table } from './table.ts';

const rounds = 15;
const input = 'this is a secret';

export async function benchStartUp(): Promise<Table> {
  const moto = await startMoto();
  const { cert, key } = selfSigned();
  const tls = await startTls(Number(new URL(moto.endpoint).port), { cert, key });
  try {
    const { keyArn } = await moto.createKey();
    const home = temporaryFolder();
    const plaintextFile = join(home, 'plaintext');
    writeFileSync(plaintextFile, input);
    const certificateFile = join(home, 'certificate.pem');
    writeFileSync(certificateFile, cert);
    const { env } = surroundings({ home, env: { ...moto.env, KEY_ID: keyArn } });
    const overTls = {
      AWS_ENDPOINT_URL: `https://127.0.0.1:${(tls.address() as AddressInfo).port}`,
      NODE_EXTRA_CA_CERTS: certificateFile,
    };
    const floor = join(import.meta.dirname, 'hand-signed-request.js');
    const encrypt = command('kms-encrypt', ['-u', 'alice']);
    const programs: Record<string, [args: string[], more: Record<string, string>]> = {
      '`node -e 0`': [['-e', '0'], {}],
      'hand-signed request, no package (the floor)': [[floor], {}],
      '`kms-encrypt`, AWS KMS key': [encrypt, {}],
      '`kms-encrypt`, local key': [[...encrypt, '-k', 'local'], {}],
      '`kms-encrypt --help`': [[...encrypt, '--help'], {}],
      'the floor, over TLS': [[floor], overTls],
      '`kms-encrypt`, AWS KMS key, over TLS': [encrypt, overTls],
    };
    const awsCli = [
      ...['kms', 'encrypt', '--key-id', keyArn, '--plaintext', `fileb://${plaintextFile}`],
      ...['--encryption-context', 'user=alice'],
    ];
    const nodes = Object.entries(nodePrograms());
    const cases: Record<string, Case> = {
      aws: async () => (await time(pythonProgram('aws'), awsCli, { env, input })).milliseconds,
    };
    for (const [major, node] of nodes) {
      for (const [name, [args, more]] of Object.entries(programs)) {
        const options = { env: { ...env, ...more }, input };
        cases[major + name] = async () => (await time(node, args, options)).milliseconds;
      }
    }
    const times = await measure(cases, rounds);

    const cells = (major: string, name: string): string[] => {
      const own = name.includes('TLS') ? 'the floor, over TLS' : floorName;
      const [ms = NaN, floorMs = NaN] = [times[major + name], times[major + own]];
      return [ms.toFixed(0), (ms / floorMs).toFixed(2)];
    };
    const floorName = 'hand-signed request, no package (the floor)';
    return {
      title: `One message, whole process, median of ${rounds} (\`aws kms encrypt\`: ${(times.aws ?? NaN).toFixed(0)} ms):`,
      head: ['', ...nodes.flatMap(([, node]) => [`Node ${versionOf(node)}, ms`, 'x floor'])],
      rows: Object.keys(programs).map((name) => [
        name,
        ...nodes.flatMap(([major]) => cells(major, name)),
      ]),
    };
  } finally {
    tls.close();
    await moto.stop();
  }
}

/** Accepts TLS connections, and passes on what comes to a port of this machine. */
async function startTls(port: number, keys: { cert: string; key: string }): Promise<Server> {
  const server = createServer(keys, (socket) => {
    const target = connect(port, '127.0.0.1');
    socket.pipe(target).pipe(socket);
    const end = (): void => {
      socket.destroy();
      target.destroy();
    };
    for (const each of [socket, target]) each.on('error', end).on('close', end);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
