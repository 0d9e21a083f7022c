import { readFileSync, watch } from 'node:fs';
import { join } from 'node:path';

/** Waits until a file contains this. */
export function fileWith(folder: string, name: string, wanted: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    // Read synchronously: the promise version loses events while its last one is being handled.
    const watcher = watch(folder, () => {
      const content = readFileSync(join(folder, name), 'utf8');
      if (!wanted.test(content)) return;
      finish();
      resolve(content);
    });
    const deadline = setTimeout(() => {
      finish();
      reject(new Error(`${name} did not get ${String(wanted)} in 20 s.`));
    }, 20_000);
    const finish = (): void => {
      watcher.close();
      clearTimeout(deadline);
    };
  });
}
