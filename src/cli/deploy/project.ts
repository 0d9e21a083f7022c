/** Where this project is, which is not where the person is. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { parseTemplate, type Template } from '../../deploy/template.ts';
import { usageError } from '../../errors.ts';

const mainTemplate = 'infra/kms.yml';
const replicaTemplate = 'infra/replica.yml';

/**
 * The folder with dist/ and infra/ in it.
 *
 * @throws KmsPocError Usage
 */
export function projectFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  // From dist/, and from here.
  const found = ['..', '../../..']
    .map((up) => join(here, up))
    .find((folder) => existsSync(join(folder, mainTemplate)));
  if (found !== undefined) return found;
  throw usageError(`${mainTemplate} is missing.`, 'Install kms-poc again, with its folder infra/.');
}

/** @throws KmsPocError Usage */
export function readTemplates(): { main: Template; replica: Template } {
  const read = (file: string): Template =>
    parseTemplate(file, readFileSync(join(projectFolder(), file), 'utf8'));
  return { main: read(mainTemplate), replica: read(replicaTemplate) };
}
