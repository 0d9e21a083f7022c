/** `kms-doctor`: from arguments to a report on standard output. */
import process, { env, stdout } from 'node:process';

import { examine } from '../../doctor/examine.ts';
import type { Check } from '../../doctor/check.ts';
import type { KmsPocError } from '../../errors.ts';
import type { ByteStream } from '../../streams/byte-stream.ts';
import { readDoctorSettings } from '../doctor/settings.ts';
import { createSubject } from '../doctor/subject.ts';
import { createTable } from '../doctor/table.ts';
import { useProfile } from '../key-sources.ts';
import { standardOutput } from '../payload/output.ts';
import type { Command } from '../run.ts';
import { loadSettings, type SettingName } from '../settings.ts';
import { isInteractive } from '../terminal/notices.ts';
import { visibleJson } from '../terminal/visible-text.ts';

export const doctorCommand: Command = async (args, voice) => {
  const problems = new Map<SettingName, KmsPocError>();
  const settings = loadSettings(args, env, (name, problem) => {
    problems.set(name, problem);
  });
  useProfile(settings);
  const read = readDoctorSettings(args, settings, problems, isInteractive());
  const subject = createSubject(settings, problems, read, voice);
  let status = 0;
  async function* checks(): AsyncGenerator<Check> {
    for await (const check of chain(read.checks, examine(subject))) {
      status = Math.max(status, check.error?.status ?? 0);
      yield check;
    }
  }
  await standardOutput.write(args.json ? jsonOf(checks()) : tableOf(checks()));
  process.exitCode = status;
};

async function* chain(
  settings: Iterable<Promise<Check>>,
  others: AsyncIterable<Check>,
): AsyncGenerator<Check> {
  yield* settings;
  yield* others;
}

/** Each row as soon as its check is done: a Region that does not answer takes its time. */
async function* tableOf(checks: AsyncIterable<Check>): ByteStream {
  const { row, summary } = createTable(stdout.isTTY ? stdout.columns || 80 : undefined);
  for await (const check of checks) yield Buffer.from(row(check));
  yield Buffer.from(summary());
}

async function* jsonOf(checks: AsyncIterable<Check>): ByteStream {
  const all: Check[] = [];
  for await (const check of checks) all.push(check);
  const report = { ok: all.every(({ state }) => state !== 'wrong'), checks: all };
  const json = `${JSON.stringify(report)}\n`;
  yield Buffer.from(stdout.isTTY ? visibleJson(json) : json);
}
