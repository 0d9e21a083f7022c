/**
 * Faults between the commands and KMS. However a service answers, a command ends with a status that
 * says so, puts out nothing but what is right, and leaves every file as it was.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { exitStatus } from '../src/errors.ts';
import { type Finished, run, temporaryFolder } from '../test/support/command.ts';
import { checkLine } from '../test/support/failure.ts';
import { startFaultProxy } from '../test/support/fault-proxy.ts';
import { type Form, makeForms } from './fault-forms.ts';
import { faultKinds } from './fault-kinds.ts';
import { type Part, runAll } from './part.ts';
import { createRandom } from './random.ts';
import { createTally } from './report.ts';

export const soakFaults: Part = async ({ moto, keysFolder, seed, cases, concurrency }) => {
  const forms = await makeForms(moto);
  const faultNames = Object.keys(faultKinds);
  const tally = createTally(
    'Faults',
    ['command', 'fault'],
    [forms.map(({ name }) => name), faultNames],
  );
  const home = temporaryFolder();

  const worker = async (): Promise<{ run: (index: number) => Promise<void>; stop: Stop }> => {
    const proxy = await startFaultProxy({ target: moto.endpoint });
    const runOne = async (index: number): Promise<void> => {
      const random = createRandom(`${seed}/faults/${index}`);
      const form = forms[index % forms.length];
      assert.ok(form);
      const faultName = random.pick(
        faultNames.filter((name) => faultKinds[name]?.isLie !== true || form.noticesLies),
      );
      const kind = faultKinds[faultName];
      assert.ok(kind);
      const fault = kind.make(random);
      const times = random.pick([1, 1, 2, Infinity]);
      const after = random.below((form.spared ?? 0) + 1);
      const attempts = random.pick(['1', '1', '3']);
      proxy.reset();
      proxy.fault(fault, { times, after });

      const folder = temporaryFolder();
      writeFiles(folder, form);
      const env = {
        ...moto.env,
        ...form.env,
        AWS_ENDPOINT_URL: proxy.endpoint,
        AWS_MAX_ATTEMPTS: attempts,
      };
      const labels = [form.name, faultName];
      try {
        const finished = await run(form.command, form.args, {
          ...{ env, home, cwd: folder, stdin: form.stdin, timeoutMs: 60_000 },
        });
        const count = proxy.count();
        const isHit = count > after;
        tally.count(labels, `status ${finished.status}${isHit ? '' : ' (not reached)'}`);
        await checkRun(form, finished, folder, isHit ? kind.statuses : [exitStatus.ok]);
      } catch (error) {
        tally.find(labels, {
          name: `faults/${index}`,
          what: error instanceof Error ? error.message : String(error),
          input: `${form.command} ${form.args.join(' ')}; ${JSON.stringify(fault)}, ${times} times after ${after} requests, AWS_MAX_ATTEMPTS=${attempts}`,
        });
      }
    };
    return { run: runOne, stop: proxy.stop };
  };
  const workers = await Promise.all(Array.from({ length: 2 * concurrency }, worker));
  await runAll(
    cases,
    workers.map(({ run }) => run),
  );
  await Promise.all(workers.map(({ stop }) => stop()));
  return [tally];

  function writeFiles(folder: string, { files }: Form): void {
    mkdirSync(join(folder, 'test-keys'));
    cpSync(join(keysFolder, 'local.key'), join(folder, 'test-keys', 'local.key'));
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(folder, name), content, { mode: 0o600 });
    }
  }
};

type Stop = () => Promise<void>;

/** @throws what is wrong */
async function checkRun(
  form: Form,
  { status, stdout, stderr }: Finished,
  folder: string,
  statuses: readonly number[],
): Promise<void> {
  const context = `status ${status}: ${stderr}`;
  assert.ok(status !== null && (status === 0 || statuses.includes(status)), context);
  const { files, target, report } = form;

  const names = readdirSync(folder).filter((name) => name !== 'test-keys');
  const expected = new Set(Object.keys(files));
  if (target !== undefined && status === 0) expected.add(target);
  assert.deepEqual(names.sort(), [...expected].sort(), `files: ${context}`);
  for (const [name, content] of Object.entries(files)) {
    if (name === target && status === 0) continue;
    const isLineRefused = name === target && form.isBatch && status === exitStatus.undecryptable;
    if (isLineRefused) continue;
    assert.ok(readFileSync(join(folder, name)).equals(content), `${name} was changed: ${context}`);
  }

  if (report === true) {
    const { ok } = JSON.parse(stdout.toString()) as { ok: boolean };
    assert.equal(ok, status === 0, context);
    return;
  }
  if (status !== 0) checkError(stderr);
  if (target !== undefined) assert.equal(stdout.length, 0, `something was printed: ${context}`);
  if (status === 0) {
    await form.verify(target === undefined ? stdout : readFileSync(join(folder, target)), false);
  } else if (target === undefined) {
    if (form.isBatch) await form.verify(stdout, true);
    else assert.equal(stdout.length, 0, `something was printed: ${context}`);
  } else if (form.isBatch && status === exitStatus.undecryptable) {
    await form.verify(readFileSync(join(folder, target)), true);
  }
}

/** The last two lines say what happened, and what to do. */
function checkError(stderr: string): void {
  const lines = stderr.trimEnd().split('\n');
  for (const line of lines) {
    assert.match(line, /^(kms-[a-z]+|hint): |^\{"error":/, `no line of ours: ${stderr}`);
    if (!line.startsWith('{')) {
      checkLine(line);
      continue;
    }
    const { error } = JSON.parse(line) as { error: { message: string; hint: string } };
    checkLine(error.message);
    checkLine(error.hint);
  }
}
