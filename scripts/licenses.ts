/** The licence texts of the packages in the bundle, as those licences require. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly repository: string;
  readonly text: string | undefined;
}

/**
 * @param modules the paths of all files in the bundle
 * @throws if a package has no text. One from the same repository and under the same licence will do:
 *   some packages of the AWS SDK come without their repository's.
 */
export function licenses(modules: readonly string[]): string {
  const folders = new Set(
    modules
      .map((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
      .filter((folder) => folder !== undefined),
  );
  const packages = [...folders].sort().map((folder) => readPackage(folder));
  const texts = packages.map(({ name, version, license, repository, text }) => {
    const found =
      text ??
      packages.find(
        (each) =>
          each.text !== undefined && each.repository === repository && each.license === license,
      )?.text;
    if (found === undefined) throw new Error(`${name} ${version} has no licence text.`);
    return `${name} ${version} (${license})\n\n${found}\n`;
  });
  return ['The bundles contain these packages:\n', ...texts].join(`\n${'='.repeat(80)}\n\n`);
}

function readPackage(folder: string): Package {
  const { name, version, license, repository } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  ) as { name: string; version: string; license: string; repository?: string | { url: string } };
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8').trim();
  const url = typeof repository === 'object' ? repository.url : (repository ?? folder);
  return { name, version, license, repository: url, text: text === '' ? undefined : text };
}
