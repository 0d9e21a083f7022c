import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

import { layers, sharedFiles } from '../../scripts/fence.js';

const projectFolder = join(import.meta.dirname, '..', '..');
const foldersIn = (folder: string): string[] =>
  readdirSync(join(projectFolder, folder), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();

/** The folders of the tree that CONTRIBUTING.md draws, each with those drawn in it. */
function drawnFolders(): Map<string, string[]> {
  const text = readFileSync(join(projectFolder, 'CONTRIBUTING.md'), 'utf8');
  const picture = /^src\/\n([^]*?)^```/m.exec(text)?.[1];
  assert.ok(picture, 'CONTRIBUTING.md draws src/');
  const drawn = new Map<string, string[]>();
  let layer = '';
  for (const line of picture.split('\n')) {
    const [, indent, name = ''] = /^(│ {2})?[├└]─ ([a-z-]+)\//.exec(line) ?? [];
    if (name === '') continue;
    if (indent === undefined) drawn.set((layer = name), []);
    else drawn.get(layer)?.push(name);
  }
  return drawn;
}

test('CONTRIBUTING.md draws the layers as they are, in the order of the fence', () => {
  const drawn = drawnFolders();
  assert.deepEqual([...drawn.keys()], layers);
  assert.deepEqual([...drawn.keys()].sort(), foldersIn('src'));
  for (const [layer, folders] of drawn) {
    assert.deepEqual(folders.sort(), foldersIn(join('src', layer)), `the folders of src/${layer}`);
  }
});

test('nothing is outside the layers except what the fence lists', () => {
  const files = readdirSync(join(projectFolder, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
  assert.deepEqual(files, sharedFiles);
});

/** Every file of src/, with the files that it imports, even if only for their types. */
function imports(): Map<string, string[]> {
  const source = join(projectFolder, 'src');
  const files = readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    files.map((file) => {
      const text = readFileSync(file, 'utf8');
      const targets = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*\.ts)'/g)].map(
        ([, target = '']) => relative(source, join(dirname(file), target)),
      );
      return [relative(source, file), targets];
    }),
  );
}

test('there is no circle of imports', () => {
  const graph = imports();
  assert.ok(graph.size > 50, 'the files were found');
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `a circle: ${[...path, file].join(' → ')}`);
    if (done.has(file)) return;
    const targets = graph.get(file);
    assert.ok(targets, `${file} is imported by ${path.at(-1)}`);
    for (const target of targets) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
});

/** These are tables, one row after the other. */
const tables = new Set(['kms/errors.ts']);

test('no file is longer than 250 lines', () => {
  for (const file of imports().keys()) {
    const lines = readFileSync(join(projectFolder, 'src', file), 'utf8').split('\n').length - 1;
    assert.ok(lines <= 250 || tables.has(file), `src/${file} has ${lines} lines`);
  }
});
