/** The names of KMS keys, and of the Regions in them. */

/** Whether this is the ARN of a key itself, not an alias or a bare id. */
export const isKeyArn = (keyId: string): boolean =>
  keyId.startsWith('arn:') && keyId.includes(':key/');

/**
 * Whether two ARNs name the same key. A multi-Region key is the same key in every Region: only the
 * Region in its ARN differs.
 */
export function isSameKmsKey(keyArn: string, otherArn: string): boolean {
  if (keyArn === otherArn) return true;
  return isMultiRegionKey(keyArn) && inRegion(keyArn, '*') === inRegion(otherArn, '*');
}

/** Whether an id or ARN names a multi-Region key. An alias doesn't say. */
export const isMultiRegionKey = (keyId: string): boolean => /(?:^|:key\/)mrk-/.test(keyId);

/** The name of a multi-Region key in another Region. A bare id is the same everywhere. */
export const inRegion = (keyId: string, region: string): string =>
  keyId.replace(/^(arn:[^:]+:kms:)[^:]+/, `$1${region}`);

/** Whether a Region may have this name. Which there are, nobody keeps up with. */
export const isRegion = (name: string): boolean => /^[a-z]{2,}(?:-[a-z0-9]+)+$/.test(name);
