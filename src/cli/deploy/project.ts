/** Where this project is, which is not where the person is. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

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
  // From dist/, from dist/chunks/, and from here.
  const found = ['..', '../..', '../../..']
    .map((up) => join(import.meta.dirname, up))
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
