/** What a setting's text means. Each throws KmsPocError Usage for a text that means nothing. */
import { isIPv4 } from 'node:net';

import { usageError } from '../errors.ts';
import { type AwsService, awsServices } from '../events.ts';
import { expandFileName } from '../formats/file-name.ts';
import { isRegion } from '../formats/kms-arn.ts';
import { isUserName, userNameRule } from '../formats/user-name.ts';
import { isAwsHost } from '../kms/hosts.ts';
import { isFromImplicitFile, type Setting, titleOf } from './setting.ts';

/** As in infra/kms.yml. */
export const defaultUsers: readonly string[] = ['alice', 'bob'];

export function parseUsers(setting: Setting | undefined): readonly string[] | '*' {
  if (setting === undefined) return defaultUsers;
  const names = splitList(setting.value);
  if (names.includes('*')) return '*';
  if (names.length === 0 || !names.every(isUserName)) {
    throw usageError(
      `${titleOf(setting)} is not a comma-separated list of names.`,
      `${userNameRule}.`,
    );
  }
  return [...new Set(names)];
}

export const parseFileName = (setting: Setting | undefined): string | undefined =>
  setting && expandFileName(setting.value, titleOf(setting));

export function parseSwitch(setting: Setting | undefined): boolean {
  if (setting === undefined) return false;
  const value = setting.value.trim().toLowerCase();
  if (['yes', 'true', '1', 'on'].includes(value)) return true;
  if (['no', 'false', '0', 'off'].includes(value)) return false;
  throw usageError(`${titleOf(setting)} is neither yes nor no.`, 'Set it to yes or no.');
}

export function parseRegions(setting: Setting | undefined): readonly string[] {
  const regions = splitList(setting?.value ?? '');
  if (setting !== undefined && !regions.every(isRegion)) {
    throw usageError(
      `${titleOf(setting)} is not a comma-separated list of AWS Regions.`,
      'It should look like eu-west-1,eu-north-1.',
    );
  }
  return [...new Set(regions)];
}

export const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');

/**
 * @returns the user, when that name may be given
 * @throws KmsPocError Usage
 */
export function checkUser(user: string, users: readonly string[] | '*'): string {
  if (!isUserName(user)) throw usageError('Not a valid user name.', `${userNameRule}.`);
  if (users !== '*' && !users.includes(user)) {
    throw usageError(
      `${user} is not one of the users: ${users.join(', ')}.`,
      'Names are case-sensitive. Set USERS to the allowed names in .env or the environment (* allows any).',
    );
  }
  return user;
}

/**
 * An `.env` in a strange folder must not send plaintext elsewhere: from one that nobody named an
 * endpoint must be AWS's own, and from one that somebody named it must be https or on this machine.
 */
export function checkEndpoint(
  setting: Setting | undefined,
  service: AwsService,
): Setting | undefined {
  if (setting === undefined) return undefined;
  const url = URL.canParse(setting.value) ? new URL(setting.value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw usageError(
      `${titleOf(setting)} is not an http or https URL.`,
      'It should look like https://kms.eu-central-1.amazonaws.com.',
    );
  }
  if (setting.origin !== 'environment' && url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw usageError(
      `${titleOf(setting)} would send messages to ${url.host} without encryption.`,
      'An endpoint in a settings file must use https or be on this machine.',
    );
  }
  if (isFromImplicitFile(setting) && !isAwsHost(url.hostname, service)) {
    throw usageError(
      `${titleOf(setting)} is ${url.host}, which is not ${awsServices[service]}.`,
      'An .env that was not named may only set endpoints of AWS. Set this one in the environment, or name the file: --env-file .env',
    );
  }
  return setting;
}

/** @param hostname of a URL */
export const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' ||
  hostname === '[::1]' ||
  (isIPv4(hostname) && hostname.startsWith('127.'));
