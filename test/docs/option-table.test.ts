import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withOptionTable } from '../../scripts/option-table.ts';

test('docs/usage.md has the options of today; npm run docs writes them there', async () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'usage.md'), 'utf8');
  assert.equal(await withOptionTable(page), page);
});
