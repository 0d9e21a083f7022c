/**
 * Node's compile cache, where it has one (22.8 and up): from the second start on, most of the
 * parsing is skipped. It holds code that will be run, so it is kept in the user's own cache folder,
 * which nobody else may write to. Node's default is a fixed name in the temporary folder, where
 * another user could put their own code first.
 */
import { lstatSync, mkdirSync } from 'node:fs';
import module from 'node:module';
import { join } from 'node:path';
import { env, getuid } from 'node:process';

import { userFolder } from './folders.ts';

type EnableCompileCache = (folder: string) => void;

export function enableCompileCache(): void {
  const { enableCompileCache: enable } = module as unknown as {
    enableCompileCache?: EnableCompileCache;
  };
  if (enable === undefined || getuid === undefined || env.NODE_COMPILE_CACHE) return;
  try {
    const cache = userFolder('cache');
    if (cache === undefined) return;
    const folder = join(cache, 'kms-poc');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = lstatSync(folder);
    const isDirectory = (mode & 0o170000) === 0o040000;
    if (isDirectory && uid === getuid() && (mode & 0o077) === 0) enable(folder);
  } catch {
    // No home folder, or a full or read-only disk: start without a cache.
  }
}
