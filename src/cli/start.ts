/** The start of every command. */
import type { CommandName } from './options.ts';
import { enableCompileCache } from './compile-cache.ts';

export async function start(name: CommandName): Promise<void> {
  enableCompileCache(); // before the rest is loaded
  const { run } = await import('./run.ts');
  await run(name);
}
