/** Where keys come from, for commands that are called in the test's own process. */
import { join } from 'node:path';
import type { KeySources } from '../../src/keys/key-sources.ts';
import { connectKms, type Kms } from '../../src/kms/kms.ts';
import { temporaryFolder } from './command.ts';
import { refusingEndpoint } from './fault-proxy.ts';

/**
 * @param options.endpoint of KMS; without it a call to KMS is refused
 * @param options.localKeyFile the file of `local`; one that is not there when not given
 */
export function testKeySources({
  endpoint = refusingEndpoint,
  localKeyFile = join(temporaryFolder(), 'none.key'),
}: { endpoint?: string; localKeyFile?: string } = {}): KeySources {
  let kms: Promise<Kms> | undefined;
  return {
    connectKms: () =>
      (kms ??= connectKms({
        region: 'eu-central-1',
        profile: undefined,
        endpoint,
        credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'moto-takes-any' },
        onRequest: () => undefined,
      })),
    defaultLocalKeyFile: localKeyFile,
    readPassphrase: () => Promise.reject(new Error('no passphrase was expected')),
    onKeyFile: () => undefined,
  };
}
