/** The entry of `kms-reencrypt`. */
import { enableCompileCache } from '../cli/compile-cache.ts';

enableCompileCache(); // before the rest is loaded
const [{ run }, { reencryptCommand }] = await Promise.all([
  import('../cli/run.ts'),
  import('../cli/commands/reencrypt.ts'),
]);
await run('kms-reencrypt', reencryptCommand);
