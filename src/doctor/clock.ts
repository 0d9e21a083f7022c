/** Is the clock right? */
import { usageError } from '../errors.ts';
import { type Check, check, notKnown, ok } from './check.ts';
import type { Subject } from './subject.ts';

/** What AWS takes: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html */
const maxSkewMinutes = 5;

export const checkClock = ({ clockAheadMs }: Subject): Promise<Check> =>
  check('clock', 'clock', () => {
    const aheadMs = clockAheadMs();
    if (aheadMs === undefined) return notKnown('AWS gave no answer that bears its time.');
    const seconds = Math.round(Math.abs(aheadMs) / 1000);
    const direction = aheadMs < 0 ? 'behind' : 'ahead of';
    if (seconds > maxSkewMinutes * 60) {
      throw usageError(
        `The clock of this machine is ${seconds} seconds ${direction} that of AWS.`,
        `Let it be set by the network (NTP): AWS refuses what was signed more than ${maxSkewMinutes} minutes off.`,
      );
    }
    return ok(
      seconds <= 1 ? 'the same as that of AWS' : `${seconds} seconds ${direction} that of AWS`,
    );
  });
