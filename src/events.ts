/**
 * What happens below the command line that a person should know about as it happens. One object,
 * created once and passed down with the key sources. (Failures are thrown instead: errors.ts.)
 */
import type { Stats } from 'node:fs';

import type { KmsPocError } from './errors.ts';

/** The services that are called, as AWS's host names call them, and as people do. */
export const awsServices = {
  kms: 'AWS KMS',
  sts: 'AWS STS',
  cloudformation: 'AWS CloudFormation',
  secretsmanager: 'AWS Secrets Manager',
} as const;
export type AwsService = keyof typeof awsServices;

export interface Events {
  /** Requests will go to this host, which the settings name. Told before the first one goes. */
  readonly endpoint: (service: AwsService | 'vault', url: URL) => void;
  /** A Region can't be reached or fails: the run goes on in the next one. */
  readonly fallback: (error: KmsPocError, nextRegion: string) => void;
  /** A local key was created. */
  readonly keyMade: (file: string) => void;
  /** A file with a key or a passphrase was read. */
  readonly keyFile: (file: string, stat: Stats, isSecret: boolean) => void;
  /**
   * A message was opened by a key other than the first. Called before any of its plaintext comes
   * out.
   *
   * @param failures why the keys before it did not open it, if they were asked
   */
  readonly otherKey: (key: string, failures: readonly KmsPocError[]) => void;
}
