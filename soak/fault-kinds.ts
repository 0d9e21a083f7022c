/** What can go wrong between a command and KMS, and how a command may end then. */
import { exitStatus } from '../src/errors.ts';
import { awsAnswer, awsError, type Fault, htmlPage } from '../test/support/fault-proxy.ts';
import type { Random } from './random.ts';

interface FaultKind {
  readonly make: (random: Random) => Fault;
  /** Besides 0: another attempt may do it, or the answer may not have mattered. */
  readonly statuses: readonly number[];
  /** What only those notice who can compare it with something. */
  readonly isLie?: boolean;
}

const { ok, unexpected, undecryptable, refused, unavailable } = exitStatus;

const jsonOf = (text: string): Fault => ({
  kind: 'answer',
  status: 200,
  contentType: 'application/x-amz-json-1.1',
  body: text,
});

const blobFields = ['CiphertextBlob', 'Plaintext'];

/** A value of another kind or length. */
const strange = (random: Random): unknown =>
  random.pick([null, 5, '', [], {}, true, 'x', '====', 'A'.repeat(10_000)]);

export const faultKinds: Readonly<Record<string, FaultKind>> = {
  'reset at the request': {
    make: () => ({ kind: 'reset', when: 'at-request' }),
    statuses: [unavailable],
  },
  'reset in the answer': {
    make: () => ({ kind: 'reset', when: 'in-answer' }),
    statuses: [unavailable],
  },
  'answer cut': { make: () => ({ kind: 'cut' }), statuses: [unavailable] },
  'answer stalls': {
    // Each of these takes seconds.
    make: (random) =>
      random.oneIn(6) ? random.pick([{ kind: 'stall' }, { kind: 'silence' }]) : { kind: 'cut' },
    statuses: [unavailable],
  },
  'answer slow, in time': {
    make: (random) => ({ kind: 'slow', ms: random.between(50, 1500) }),
    statuses: [ok],
  },
  'error of the service': {
    make: (random) =>
      awsError(
        random.pick(['KMSInternalException', 'DependencyTimeoutException', 'InternalFailure', 'x']),
        random.pick([500, 502, 503, 504]),
        'a message',
      ),
    statuses: [unavailable],
  },
  throttling: {
    make: (random) =>
      awsError(
        random.pick(['ThrottlingException', 'LimitExceededException']),
        random.pick([400, 429]),
      ),
    statuses: [unavailable, refused],
  },
  'page of a proxy': {
    make: (random) => htmlPage(random.pick([200, 302, 403, 404, 407, 500, 502, 503])),
    statuses: [unavailable, refused],
  },
  'junk instead of JSON': {
    make: (random) =>
      jsonOf(
        random.pick([
          '',
          '{',
          'null',
          '[]',
          '5',
          '"x"',
          '{}',
          '[{}]',
          random.bytes(100).toString('latin1'),
        ]),
      ),
    statuses: [unavailable],
  },
  'fields of another kind': {
    make: (random) => {
      const names = ['KeyId', 'CiphertextBlob', 'Plaintext', 'KeyMetadata', 'SourceKeyId'];
      return awsAnswer(Object.fromEntries(names.map((name) => [name, strange(random)])));
    },
    statuses: [unavailable],
  },
  'a field missing': {
    make: (random) => {
      const which = random.below(100);
      return {
        kind: 'rewrite',
        rewrite: (answer) => {
          const names = Object.keys(answer);
          const gone = names[which % names.length];
          return Object.fromEntries(Object.entries(answer).filter(([name]) => name !== gone));
        },
      };
    },
    statuses: [unavailable],
  },
  'another key': {
    make: () => ({
      kind: 'rewrite',
      rewrite: (answer) => ({
        ...answer,
        KeyId: 'arn:aws:kms:eu-central-1:123456789012:key/11111111-7e57-4e57-8e57-7e577e577e57',
      }),
    }),
    statuses: [unavailable],
  },
  refusal: {
    make: (random) =>
      awsError(
        random.pick([
          'AccessDeniedException',
          'DisabledException',
          'KMSInvalidStateException',
          'NotFoundException',
          'ExpiredTokenException',
          'UnrecognizedClientException',
          'InvalidSignatureException',
        ]),
      ),
    statuses: [refused],
  },
  'the ciphertext refused': {
    make: () => awsError('InvalidCiphertextException'),
    // It makes no sense where nothing is decrypted.
    statuses: [undecryptable, unavailable],
  },
  'other bytes than KMS sent': {
    make: (random) => {
      const at = random.below(1000);
      return {
        kind: 'rewrite',
        rewrite: (answer) => {
          const changed = { ...answer };
          for (const name of blobFields) {
            const value = answer[name];
            if (typeof value !== 'string') continue;
            const bytes = Buffer.from(value, 'base64');
            bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ 1;
            changed[name] = bytes.toString('base64');
          }
          return changed;
        },
      };
    },
    statuses: [unexpected, undecryptable, refused, unavailable],
    isLie: true,
  },
};
