/**
 * Encrypts over HTTP: POST the message to /USER, and get its ciphertext.
 *
 * It asks nobody who they are, so it listens on this machine only.
 */
import { createServer } from 'node:http';
import { Encrypter } from './encrypter.mjs';

const maxMessageBytes = 64 * 1024;
const maxPending = 5000;

const encrypter = new Encrypter();
encrypter.start();

/** @returns {Promise<Buffer | undefined>} undefined if it is too large */
async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > maxMessageBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** @returns {Promise<[status: number, text: string]>} */
async function answerTo(request) {
  if (request.method !== 'POST') return [405, 'POST a message to /USER'];
  // Callers who wait for ever are no help to a key service in trouble.
  if (encrypter.pending >= maxPending) return [503, 'busy'];
  try {
    const message = await bodyOf(request);
    if (message === undefined) return [413, `more than ${maxMessageBytes} bytes`];
    return [200, await encrypter.encrypt(request.url.slice(1), message)];
  } catch ({ code, message }) {
    // Or the caller hung up, and there is nobody to tell.
    return code === 'Usage' ? [400, message] : [503, 'not available'];
  }
}

const server = createServer(async (request, response) => {
  const [status, text] = await answerTo(request);
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
});

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    // What was asked before is answered first.
    server.close(() => encrypter.close());
  });
}

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`listening on port ${server.address().port}`);
});
