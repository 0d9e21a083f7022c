/** The entry of `kms-decrypt`. */
import { enableCompileCache } from '../cli/compile-cache.ts';

enableCompileCache(); // before the rest is loaded
const [{ run }, { decryptCommand }] = await Promise.all([
  import('../cli/run.ts'),
  import('../cli/commands/decrypt.ts'),
]);
await run('kms-decrypt', decryptCommand);
