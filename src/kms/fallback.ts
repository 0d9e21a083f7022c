/** A multi-Region key in more than one Region: when one is down, the next one is used. */
import { KmsPocError } from '../errors.ts';
import type { Events } from '../events.ts';
import { inRegion } from '../formats/kms-arn.ts';
import type { DataKeyCalls, Kms } from './kms.ts';

/**
 * Goes to the next Region when one can't be reached, doesn't answer in time or fails after its
 * retries, but never because of what it answers (a missing permission, a changed message, too many
 * requests). It then stays there: a Region that is down costs each call its timeouts, up to 20
 * seconds (connection.ts).
 *
 * @param first KMS in the keys' own Region
 * @param replicaRegions where they have replicas, in the order to try them
 * @param connect connects to KMS in one of them
 * @param events told the reason and the Region before the first call to it
 */
export function withFallback(
  first: Kms,
  replicaRegions: readonly string[],
  connect: (region: string) => Promise<Kms>,
  events: Pick<Events, 'fallback'>,
): Kms {
  const regions = replicaRegions.filter((region) => region !== first.region);
  /** Why each Region before the current one was abandoned. */
  const outages: KmsPocError[] = [];

  const attempt = async <Answer>(
    keyId: string,
    call: (kms: Kms, keyIdThere: string) => Promise<Answer>,
  ): Promise<Answer> => {
    for (;;) {
      const tried = outages.length;
      const region = tried === 0 ? undefined : regions[tried - 1];
      try {
        return await (region === undefined
          ? call(first, keyId)
          : call(await connect(region), inRegion(keyId, region)));
      } catch (error) {
        const isOut = error instanceof KmsPocError && error.code === 'Unavailable';
        if (!isOut) throw error;
        const next = regions[tried];
        if (next === undefined) throw allOut([...outages, error]);
        // If several calls fail together, only one moves on.
        if (tried === outages.length) {
          outages.push(error);
          events.fallback(error, next);
        }
      }
    }
  };

  /** The Encryption SDK expects the response to name exactly the key it asked for. */
  const sameKey = <Answer>(keyId: string, answer: Answer): Answer & { KeyId: string } => ({
    ...answer,
    KeyId: keyId,
  });
  const dataKeys: DataKeyCalls = {
    generateDataKey: (input) =>
      attempt(input.KeyId, async (kms, KeyId) =>
        sameKey(input.KeyId, await kms.dataKeys.generateDataKey({ ...input, KeyId })),
      ),
    encrypt: (input) =>
      attempt(input.KeyId, async (kms, KeyId) =>
        sameKey(input.KeyId, await kms.dataKeys.encrypt({ ...input, KeyId })),
      ),
    decrypt: (input) =>
      attempt(input.KeyId, async (kms, KeyId) =>
        sameKey(input.KeyId, await kms.dataKeys.decrypt({ ...input, KeyId })),
      ),
  };
  return {
    region: first.region,
    encrypt: (keyId, user, plaintext) =>
      attempt(keyId, (kms, keyIdThere) => kms.encrypt(keyIdThere, user, plaintext)),
    decrypt: (keyId, user, ciphertextBase64) =>
      attempt(keyId, (kms, keyIdThere) => kms.decrypt(keyIdThere, user, ciphertextBase64)),
    // Nobody is waiting for it: it can be done again when the Region is back.
    reEncrypt: (...move) => first.reEncrypt(...move),
    resolveKey: (keyId) => attempt(keyId, (kms, keyIdThere) => kms.resolveKey(keyIdThere)),
    dataKeys,
  };
}

const allOut = (errors: readonly KmsPocError[]): KmsPocError => {
  const last = errors.at(-1);
  const messages = errors.map(({ message }) => message).join(' ');
  return new KmsPocError('Unavailable', messages, last?.hint, { cause: last });
};
