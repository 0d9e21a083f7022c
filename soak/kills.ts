/**
 * SIGKILL at random moments: the file that a command writes is the old one or the whole new one, and
 * the next run removes whatever the killed one left.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { commandLine, run, surroundings, temporaryFolder } from '../test/support/command.ts';
import { type KillForm, makeKillForms } from './kill-forms.ts';
import { type Part, runAll } from './part.ts';
import { createRandom } from './random.ts';
import { createTally } from './report.ts';

export const soakKills: Part = async ({ moto, keysFolder, seed, cases, concurrency }) => {
  const forms = await makeKillForms(moto, keysFolder);
  const tally = createTally('Kills', ['command'], [forms.map(({ name }) => name)]);
  const home = temporaryFolder();
  /** How long a whole run takes, by form: as long as the last one took. */
  const wholeMs = new Map<string, number>();

  const runOne = async (index: number): Promise<void> => {
    const random = createRandom(`${seed}/kills/${index}`);
    const form = forms[index % forms.length];
    assert.ok(form);
    const folder = makeFolder(form);
    const options = { home, cwd: folder, env: { ...moto.env, ...form.env } };
    const runToTheEnd = async (): Promise<void> => {
      const start = performance.now();
      const { status, stderr } = await run(form.command, form.args, options);
      wholeMs.set(form.name, performance.now() - start);
      assert.equal(status, 0, `the next run: ${stderr}`);
    };
    const labels = [form.name];
    let killed = 'not killed';
    try {
      if (!wholeMs.has(form.name)) {
        const before = { ...options, cwd: makeFolder(form) };
        const start = performance.now();
        const { status, stderr } = await run(form.command, form.args, before);
        assert.equal(status, 0, stderr);
        wholeMs.set(form.name, performance.now() - start);
      }
      // From the first moment to a little after the last.
      const afterMs = (random.below(1100) / 1000) * (wholeMs.get(form.name) ?? 0);
      killed = `killed after ${Math.round(afterMs)} ms`;
      await kill(form, options, afterMs, random.oneIn(2));

      const isOld = await isOldOrWhole(form, folder);
      const left = leftoversIn(folder);
      const state = isOld ? 'the old file' : 'the whole new file';
      tally.count(labels, `${state}${left.length > 0 ? ', and something left' : ''}`);
      if (left.length === 0 && !random.oneIn(4)) return;
      await runToTheEnd();
      assert.equal(await isOldOrWhole(form, folder), false, 'the next run wrote nothing');
      assert.deepEqual(leftoversIn(folder), [], 'left after the next run');
    } catch (error) {
      tally.find(labels, {
        name: `kills/${index}`,
        what: error instanceof Error ? error.message : String(error),
        input: `${form.command} ${form.args.join(' ')}, ${killed}`,
      });
    }
  };
  await runAll(
    cases,
    Array.from({ length: concurrency }, () => runOne),
  );
  return [tally];

  function makeFolder({ files }: KillForm): string {
    const folder = temporaryFolder();
    cpSync(keysFolder, join(folder, 'test-keys'), { recursive: true });
    mkdirSync(join(folder, 'new'), { mode: 0o700 });
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    return folder;
  }
};

async function kill(
  { command, args, watched }: KillForm,
  options: Parameters<typeof surroundings>[0] & { readonly cwd: string },
  afterMs: number,
  isEarly: boolean,
): Promise<void> {
  const { file, args: fileArgs } = commandLine(command, args);
  const child = spawn(file, fileArgs, { ...surroundings(options), stdio: 'ignore' });
  const ended = once(child, 'exit');
  const stop = new AbortController();
  const moment =
    watched !== undefined && isEarly
      ? once(watch(join(options.cwd, watched), { signal: stop.signal }), 'change')
      : delay(afterMs);
  await Promise.race([moment, ended]);
  child.kill('SIGKILL');
  await ended;
  stop.abort();
}

/** @throws if the target is neither */
async function isOldOrWhole({ target, files, verify }: KillForm, folder: string): Promise<boolean> {
  const path = join(folder, target);
  const old = files[target];
  if (!existsSync(path)) {
    assert.equal(old, undefined, 'the old file is gone');
    return true;
  }
  const content = readFileSync(path);
  if (old?.equals(content) === true) return true;
  await verify(content, folder);
  return false;
}

const leftoversIn = (folder: string): string[] =>
  [folder, join(folder, 'new')].flatMap((each) =>
    readdirSync(each).filter((name) => name.startsWith('.kms-poc-')),
  );
