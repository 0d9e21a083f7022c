/**
 * Anything that can go wrong between a command and AWS, on demand: a proxy that passes requests on
 * to moto and answers them, or fails to, as a test says. It also counts them, so that a test can
 * prove that no call was made.
 */
import { execFileSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { pythonProgram } from './python.ts';

/** An endpoint where nobody listens, so that the connection is refused. */
export const refusingEndpoint = 'http://127.0.0.1:1';
/** An endpoint whose name is unknown to DNS (RFC 2606 reserves `.invalid`). */
export const unknownHostEndpoint = 'http://kms.invalid';

export interface Answer {
  status: number;
  headers: OutgoingHttpHeaders;
  body: Buffer;
}

export type Fault =
  /** A response that is sent instead of asking AWS. */
  | { kind: 'answer'; status: number; contentType: string; body: string }
  /** The connection is reset (TCP RST) at the request, or after half of the response was sent. */
  | { kind: 'reset'; when: 'at-request' | 'in-answer' }
  /** The request is accepted, and nothing comes back. */
  | { kind: 'silence' }
  /** The connection is closed in an orderly way after half of the response was sent. */
  | { kind: 'cut' }
  /** The response comes so much later. */
  | { kind: 'slow'; ms: number }
  /** Half of the response is sent, and the rest never comes. */
  | { kind: 'stall' }
  /** AWS's response, with changed JSON. */
  | { kind: 'rewrite'; rewrite: (answer: Record<string, unknown>) => Record<string, unknown> }
  /** AWS's response, with changed text, such as XML. */
  | { kind: 'text'; change: (text: string) => string }
  /** AWS's response, with different headers. */
  | { kind: 'headers'; headers: OutgoingHttpHeaders };

/** An error as KMS sends it (AWS JSON 1.1): `type` such as `ThrottlingException`. */
export function awsError(type: string, status = 400, message = ''): Fault {
  const body = JSON.stringify({ __type: type, ...(message === '' ? {} : { message }) });
  return { kind: 'answer', status, contentType: 'application/x-amz-json-1.1', body };
}

/** A success that AWS would not send, such as a response that lacks a field. */
export function awsAnswer(answer: Record<string, unknown>): Fault {
  const body = JSON.stringify(answer);
  return { kind: 'answer', status: 200, contentType: 'application/x-amz-json-1.1', body };
}

/** An error page from something in between: a load balancer, a company's proxy. */
export function htmlPage(status: number): Fault {
  const body = `<html><body><h1>${status}</h1></body></html>`;
  return { kind: 'answer', status, contentType: 'text/html', body };
}

export interface SeenRequest {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  /**
   * Such as `Encrypt`, from the X-Amz-Target header, or from the Action of a form, as STS uses; of Vault
   * `encrypt`, from the path.
   */
  operation: string;
  /**
   * The Region that the request was signed for, such as `eu-central-1`; empty without a signature.
   */
  region: string;
  /** The access key id that the request was signed with; empty without a signature. */
  accessKeyId: string;
  /** The JSON of the body, or undefined if it isn't JSON. */
  body: Record<string, unknown> | undefined;
}

export interface FaultProxy {
  /** Such as `http://127.0.0.1:40519`. */
  endpoint: string;
  /** All requests in the order they came, with or without a fault. */
  requests: SeenRequest[];
  /**
   * Resolves once a request has come, or so many, for one operation or any; at once if they already
   * came.
   */
  arrival: (operation?: string, times?: number) => Promise<void>;
  /** How many requests there were, for one operation and Region or in all. */
  count: (operation?: string, region?: string) => number;
  /**
   * From now on requests get this fault: those for one operation and Region or all, so many times
   * or always, after letting so many through. If there are several faults, each request gets the
   * first that is not used up.
   */
  fault: (
    fault: Fault,
    options?: { operation?: string | undefined; region?: string; times?: number; after?: number },
  ) => void;
  /** Forgets all faults and requests. */
  reset: () => void;
  stop: () => Promise<void>;
}

/**
 * Starts a proxy on a free port of 127.0.0.1. It doesn't keep the test process alive.
 *
 * @param options.target where requests without a fault go; without it they are refused (501)
 * @param options.tls whether to use https, with a certificate that nobody trusts
 */
export async function startFaultProxy({
  target,
  tls = false,
}: { target?: string; tls?: boolean } = {}): Promise<FaultProxy> {
  const requests: SeenRequest[] = [];
  const arrivals = new EventEmitter();
  const faults: {
    fault: Fault;
    operation: string | undefined;
    region: string | undefined;
    left: number;
    spared: number;
  }[] = [];

  const nextFault = ({ operation, region }: SeenRequest): Fault | undefined => {
    const next = faults.find(
      (entry) =>
        entry.left > 0 &&
        (entry.operation ?? operation) === operation &&
        (entry.region ?? region) === region,
    );
    if (next === undefined) return undefined;
    if (next.spared > 0) {
      next.spared -= 1;
      return undefined;
    }
    next.left -= 1;
    return next.fault;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(request);
    const seen = describe(request, body);
    requests.push(seen);
    arrivals.emit('request');
    const fault = nextFault(seen);
    if (fault?.kind === 'silence') return;
    if (fault?.kind === 'reset' && fault.when === 'at-request') {
      request.socket.resetAndDestroy();
      return;
    }
    if (fault?.kind === 'answer') {
      send(response, {
        status: fault.status,
        headers: { 'content-type': fault.contentType, 'x-amzn-requestid': 'fault-proxy' },
        body: Buffer.from(fault.body),
      });
      return;
    }
    const answer = await forward(target, request, body);
    if (fault?.kind === 'slow') {
      await delay(fault.ms);
      send(response, answer);
    } else if (fault?.kind === 'rewrite') {
      const answered = JSON.parse(answer.body.toString()) as Record<string, unknown>;
      send(response, { ...answer, body: Buffer.from(JSON.stringify(fault.rewrite(answered))) });
    } else if (fault?.kind === 'text') {
      send(response, { ...answer, body: Buffer.from(fault.change(answer.body.toString())) });
    } else if (fault?.kind === 'headers') {
      send(response, { ...answer, headers: { ...answer.headers, ...fault.headers } });
    } else if (fault !== undefined) {
      sendHalf(response, answer, () => {
        if (fault.kind === 'reset') request.socket.resetAndDestroy();
        else if (fault.kind === 'cut') request.socket.end();
      });
    } else {
      send(response, answer);
    }
  };

  const listener: RequestListener = (request, response) => {
    handle(request, response).catch(() => {
      // The client has gone, or moto has: either way the client sees its connection end.
      request.socket.destroy();
    });
  };
  const server = tls ? createTlsServer(selfSigned(), listener) : createServer(listener);
  // Connections left open by a fault must not keep the test process alive.
  server.on('connection', (socket: Socket) => socket.unref());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  server.unref();

  const count = (operation?: string, region?: string): number =>
    requests.filter(
      (seen) =>
        (operation ?? seen.operation) === seen.operation && (region ?? seen.region) === seen.region,
    ).length;

  return {
    endpoint: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    count,
    arrival: async (operation, times = 1) => {
      while (count(operation) < times) await once(arrivals, 'request');
    },
    fault: (fault, { operation, region, times = Infinity, after = 0 } = {}) => {
      faults.push({ fault, operation, region, left: times, spared: after });
    },
    reset: () => {
      faults.length = 0;
      requests.length = 0;
    },
    stop: () =>
      new Promise((resolve) => {
        server.ref();
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function describe(request: IncomingMessage, body: Buffer): SeenRequest {
  const { 'x-amz-target': target, authorization = '' } = request.headers;
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html: the
  // credential scope is the access key id, the date, the Region and the service
  const [, accessKeyId = '', region = ''] =
    /Credential=([^/]+)\/\d+\/([^/]+)\//.exec(authorization) ?? [];
  let json: Record<string, unknown> | undefined;
  try {
    json = JSON.parse(body.toString()) as Record<string, unknown>;
  } catch {
    json = undefined;
  }
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    // TrentService.Encrypt: the service's name within AWS, a dot, the operation
    operation:
      typeof target === 'string'
        ? target.slice(target.indexOf('.') + 1)
        : (/^\/v1\/.*?(\w+)\/[\w.-]+$/.exec(request.url ?? '')?.[1] ??
          new URLSearchParams(body.toString()).get('Action') ??
          ''),
    region,
    accessKeyId,
    body: json,
  };
}

/** Passes a request on as it came, including its Host header, and collects the response. */
async function forward(
  target: string | undefined,
  { method, url, headers }: IncomingMessage,
  body: Buffer,
): Promise<Answer> {
  if (target === undefined) return { status: 501, headers: {}, body: Buffer.alloc(0) };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest(new URL(url ?? '/', target), { method, headers, agent: false }, resolve)
      .on('error', reject)
      .end(body);
  });
  const answer = await buffer(response);
  const kept = { ...response.headers };
  // These belong to the connection with moto, and to a body that may change.
  for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'content-length']) {
    Reflect.deleteProperty(kept, name);
  }
  return { status: response.statusCode ?? 502, headers: kept, body: answer };
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, { ...headers, 'content-length': body.length }).end(body);
}

/** Announces the whole response, sends half of it, and calls back once that half is on its way. */
function sendHalf(
  response: ServerResponse,
  { status, headers, body }: Answer,
  then: () => void,
): void {
  response.writeHead(status, { ...headers, 'content-length': body.length });
  response.write(body.subarray(0, body.length / 2), then);
}

/** @returns a new key and certificate, as PEM in one text; it takes some 0.3 s */
export function selfSigned(): { key: string; cert: string } {
  const script = join(import.meta.dirname, 'self_signed.py');
  const pem = execFileSync(pythonProgram('python'), [script], { encoding: 'utf8' });
  return { key: pem, cert: pem };
}
