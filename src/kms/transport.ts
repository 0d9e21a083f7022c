/** What calls to a key service have in common: how long one may take, and how much may come back. */

/** For all attempts of one call together, however many the configuration allows. */
const deadlineMs = 20_000;

/** An answer of KMS, STS or Vault has a few KiB. */
const maxAnswerBytes = 2 ** 20;

/**
 * Makes a call that is given up on at the deadline, including all its attempts. `AbortSignal.timeout`
 * would hold everything about a call in memory until then, long after it has ended.
 */
export async function withDeadline<Answer>(
  call: (options: { abortSignal: AbortSignal }) => Promise<Answer>,
): Promise<Answer> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new DOMException('The deadline has passed.', 'TimeoutError'));
  }, deadlineMs).unref();
  try {
    return await call({ abortSignal: controller.signal });
  } finally {
    clearTimeout(timer);
  }
}

/** @throws an error with the code `ANSWER_TOO_LONG` */
export async function collectAnswer(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxAnswerBytes) {
      throw Object.assign(new Error('The answer is too long.'), { code: 'ANSWER_TOO_LONG' });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/**
 * @param code OpenSSL's or Node's: https://nodejs.org/api/tls.html#x509-certificate-error-codes
 */
export const isTlsError = (code: string): boolean =>
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|EPROTO$|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/.test(code);
