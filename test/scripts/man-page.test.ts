import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import packageJson from '../../package.json' with { type: 'json' };
import { type CommandName, commands, optionsOf, optionTitle } from '../../src/cli/options.ts';

const root = join(import.meta.dirname, '..', '..');

/** In CI it is installed: if it isn't there, the test fails. */
const skip =
  process.env.CI === undefined && spawnSync('mandoc', ['-V']).error !== undefined
    ? 'mandoc is not installed'
    : false;

describe('the manual page', { skip }, () => {
  for (const command of Object.keys(commands) as CommandName[]) {
    test(`of ${command} is installed, is correct, and names each option`, () => {
      const file = `dist/man/${command}.1`;
      assert.ok(packageJson.man.includes(file));
      assert.match(readFileSync(join(root, file), 'utf8'), /^[\x20-\x7e\n]+$/);
      const { stdout, stderr, status } = spawnSync(
        'mandoc',
        ['-Tascii', '-Owidth=120', '-Wunsupp', file],
        {
          cwd: root,
          encoding: 'utf8',
        },
      );
      assert.deepEqual([status, stderr], [0, '']);
      // Bold and italic letters are typed over.
      const page = stdout.replace(/.\x08/g, '');
      for (const [name, option] of Object.entries(optionsOf(command))) {
        const title = optionTitle(name, option);
        assert.match(page, new RegExp(`^ +${title}\\b`, 'm'));
      }
      for (const [example] of commands[command].examples)
        assert.ok(page.includes(example), example);
      assert.match(page, /^EXIT STATUS\n\s+0\s+done\n/m);
    });
  }
});
