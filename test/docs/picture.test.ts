import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { terminalPicture } from '../support/picture.ts';

/** The ciphertext is new each time, but as long as ever. */
const masked = (svg: string): string =>
  svg.replaceAll(/(?<=>)[A-Za-z0-9+/=]{30,}(?=<)/g, (line) => '#'.repeat(line.length));

test("docs/terminal.svg shows what the commands say today; if not, 'npm run picture'", async () => {
  const file = join(import.meta.dirname, '..', '..', 'docs', 'terminal.svg');
  assert.equal(masked(readFileSync(file, 'utf8')), masked(await terminalPicture()));
});
