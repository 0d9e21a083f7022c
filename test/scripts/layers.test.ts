import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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

test('nothing stands beside the layers but what the fence lists', () => {
  const files = readdirSync(join(projectFolder, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
  assert.deepEqual(files, sharedFiles);
});
