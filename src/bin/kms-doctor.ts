/** The entry of `kms-doctor`. */
import { enableCompileCache } from '../cli/compile-cache.ts';

enableCompileCache(); // before the rest is loaded
const [{ run }, { doctorCommand }] = await Promise.all([
  import('../cli/run.ts'),
  import('../cli/commands/doctor.ts'),
]);
await run('kms-doctor', doctorCommand);
