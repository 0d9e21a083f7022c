/** `kms-doctor`: settings in, a report on standard output. */
import { env } from 'node:process';

import { type Check, check } from '../../doctor/check.ts';
import { examine } from '../../doctor/examine.ts';
import { type ExitStatus, exitStatus } from '../../errors.ts';
import type { ByteStream } from '../../streams/byte-stream.ts';
import { readDoctorSettings } from '../doctor/settings.ts';
import { createSubject } from '../doctor/subject.ts';
import { createTable } from '../doctor/table.ts';
import { createAccess } from '../key-sources.ts';
import { standardOutput } from '../payload/output.ts';
import { loadSettings } from '../settings.ts';
import { isInteractive } from '../terminal/ask-user.ts';
import { visibleJson } from '../terminal/visible-text.ts';
import type { Command } from './command.ts';

export const doctorCommand: Command = async (args, notices) => {
  const settings = await loadSettings(args, env);
  const read = readDoctorSettings(args, settings, isInteractive());
  const subject = createSubject(createAccess(settings, notices), read);
  let status: ExitStatus = exitStatus.ok;
  async function* checks(): AsyncGenerator<Check> {
    for await (const each of allChecks()) {
      const { error } = each;
      if (error !== undefined && error.status > status) ({ status } = error);
      yield each;
    }
  }
  async function* allChecks(): AsyncGenerator<Check> {
    for (const [name, finding] of read.rows) yield check('settings', name, finding);
    yield* examine(subject);
  }
  await standardOutput.write(args.json ? jsonOf(checks()) : tableOf(checks()));
  return status;
};

/**
 * Prints each row as soon as its check is done, because a Region that does not answer takes a
 * while.
 */
async function* tableOf(checks: AsyncIterable<Check>): ByteStream {
  const { isTerminal, columns = 80 } = standardOutput;
  const { row, summary } = createTable(isTerminal ? columns : undefined);
  for await (const check of checks) yield Buffer.from(row(check));
  yield Buffer.from(summary());
}

async function* jsonOf(checks: AsyncIterable<Check>): ByteStream {
  const all: Check[] = [];
  for await (const check of checks) all.push(check);
  const report = { ok: all.every(({ state }) => state !== 'wrong'), checks: all };
  const json = `${JSON.stringify(report)}\n`;
  yield Buffer.from(standardOutput.isTerminal ? visibleJson(json) : json);
}
