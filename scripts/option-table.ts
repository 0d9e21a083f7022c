/**
 * The table of all options in docs/usage.md, from the same source as --help. `npm run docs` writes it
 * there, and a test compares.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { format } from 'prettier';

import { type CommandName, commands, optionsOf, optionTitle } from '../src/cli/options.ts';

const file = join(import.meta.dirname, '..', 'docs', 'usage.md');

/** @returns the page, with the table between its marks as it should be now */
export async function withOptionTable(page: string): Promise<string> {
  const names = Object.keys(commands) as CommandName[];
  const rows = new Map<string, { title: string; description: string; of: string[] }>();
  for (const command of names) {
    for (const [name, option] of Object.entries(optionsOf(command))) {
      const title = optionTitle(name, option);
      const { description } = option;
      const key = `${title} ${description}`;
      const row = rows.get(key) ?? { title, description, of: [] };
      row.of.push(command.replace('kms-', ''));
      rows.set(key, row);
    }
  }
  // The rows of one option, which can mean different things, are together.
  const titles = [...rows.values()].map(({ title }) => title);
  const sorted = [...rows.values()].sort(
    (a, b) => titles.indexOf(a.title) - titles.indexOf(b.title),
  );
  const table = sorted.map(({ title, description, of }) => {
    const whose = of.length === names.length ? 'all' : of.join(', ');
    return `| \`${title}\` | ${whose} | ${description.replaceAll('|', '\\|').replaceAll('*', '\\*')} |`;
  });
  const text = ['| option | command | meaning |', '| --- | --- | --- |', ...table].join('\n');
  const marks = /(<!-- options -->\n)[^]*(<!-- \/options -->)/;
  if (!marks.test(page)) throw new Error('docs/usage.md has no marks for the table.');
  return format(page.replace(marks, `$1\n${text}\n\n$2`), {
    parser: 'markdown',
    printWidth: 100,
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(file, await withOptionTable(readFileSync(file, 'utf8')));
}
