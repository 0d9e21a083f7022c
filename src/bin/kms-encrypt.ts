/** The entry of `kms-encrypt`. */
import { enableCompileCache } from '../cli/compile-cache.ts';

enableCompileCache(); // before the rest is loaded
const [{ run }, { encryptCommand }] = await Promise.all([
  import('../cli/run.ts'),
  import('../cli/commands/encrypt.ts'),
]);
await run('kms-encrypt', encryptCommand);
