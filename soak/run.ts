/**
 * `npm run soak [-- --minutes N] [--seed S] [--only PART [--count N]] [--case PART/NUMBER]`: messages changed in
 * every way, faults between the commands and KMS, and kills at random moments. Prints what it ran
 * and what it found, and ends with status 1 if it found anything.
 */
import { argv, env } from 'node:process';
import { parseArgs } from 'node:util';

import { ensurePythonEnvironment } from '../test/support/python.ts';
import { soak } from './soak.ts';

const { values } = parseArgs({
  args: argv.slice(2),
  options: {
    minutes: { type: 'string', default: '0' },
    seed: { type: 'string', default: String(Date.now()) },
    only: { type: 'string' },
    count: { type: 'string' },
    case: { type: 'string' },
  },
});
env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
ensurePythonEnvironment((text) => {
  console.error(text);
});
const minutes = Number(values.minutes);
if (!(minutes >= 0)) throw new Error('--minutes takes a number.');
const counts =
  values.count === undefined
    ? { ciphertexts: 100_000, faults: 1000, kills: 300 }
    : {
        ciphertexts: Number(values.count),
        faults: Number(values.count),
        kills: Number(values.count),
      };
const isClean = await soak({
  seed: values.seed,
  counts,
  minutes,
  only: values.case?.split('/')[0] ?? values.only,
  oneCase: values.case === undefined ? undefined : Number(values.case.split('/')[1]),
  say: console.log,
});
process.exitCode = isClean ? 0 : 1;
