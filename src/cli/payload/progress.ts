/**
 * The progress of long work, on the last line of the terminal: how much of the input was read, how
 * fast, and how long the rest will take.
 *
 * The clock starts with the first byte. Until then, whatever produces the input may be asking for
 * something on the same terminal: `sudo tar c / | kms-encrypt …`.
 */
import type { ByteStream } from '../../streams/byte-stream.ts';
import type { Input } from './input.ts';
import { canShowStatus, showStatus } from '../terminal/status-line.ts';

/** Shorter work is over before anyone could read a line about it. */
const quietMs = 1000;
const redrawMs = 250;
/**
 * The rate is measured over the last few seconds, because it predicts how long the rest will take.
 */
const rateWindowMs = 5000;

export interface Progress {
  readonly bytes: number;
  /** Undefined if unknown. */
  readonly totalBytes: number | undefined;
  /** Undefined if the input is not lines. */
  readonly lines: number | undefined;
  readonly bytesPerSecond: number;
}

/** @param ofLines whether the input is lines, to count them too */
export function withProgress(input: Input, ofLines: boolean): Input {
  if (!canShowStatus()) return input;
  return {
    ...input,
    read: async (prompt) => follow(await input.read(prompt), input.sizeBytes, ofLines),
  };
}

async function* follow(
  stream: ByteStream,
  totalBytes: number | undefined,
  ofLines: boolean,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  let lines = 0;
  const samples: { readonly time: number; readonly bytes: number }[] = [];
  let timer: NodeJS.Timeout | undefined;

  const draw = (): void => {
    const now = { time: performance.now(), bytes };
    samples.push(now);
    while (now.time - (samples[1] ?? now).time >= rateWindowMs) samples.shift();
    const first = samples[0] ?? now;
    const progress: Progress = {
      bytes,
      // A file that has grown, or one that doesn't know its size (/proc), ends where it ends.
      totalBytes: totalBytes !== undefined && bytes <= totalBytes ? totalBytes : undefined,
      lines: ofLines ? lines : undefined,
      bytesPerSecond: ((bytes - first.bytes) * 1000) / Math.max(now.time - first.time, 1),
    };
    showStatus((columns) => progressLine(progress, columns));
  };
  const start = (): void => {
    const startTime = performance.now();
    samples.push({ time: startTime, bytes: 0 });
    timer = setInterval(() => {
      if (performance.now() - startTime >= quietMs) draw();
    }, redrawMs);
    timer.unref();
  };

  try {
    for await (const chunk of stream) {
      if (timer === undefined) start();
      bytes += chunk.length;
      if (ofLines) lines += countLineFeeds(chunk);
      yield chunk;
    }
    // The line stays until something else is printed or everything is done: writing may take a
    // while.
    if (samples.length > 1) draw();
  } finally {
    clearInterval(timer);
  }
}

function countLineFeeds(chunk: Uint8Array): number {
  let count = 0;
  for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) count += 1;
  return count;
}

/** @returns a line no longer than `columns`; the narrower it is, the less it says */
export function progressLine(progress: Progress, columns: number): string {
  const { bytes, totalBytes, lines, bytesPerSecond } = progress;
  const rate = `${formatBytes(bytesPerSecond)}/s`;
  const read = formatBytes(bytes);
  const counted = lines === 1 ? '1 line' : `${lines?.toLocaleString('en') ?? ''} lines`;
  const amount = lines === undefined ? read : `${counted}, ${read}`;
  if (totalBytes === undefined)
    return firstThatFits([[amount, rate], [read, rate], [read]], columns);

  const percent = `${Math.floor((100 * bytes) / totalBytes)}%`.padStart(4);
  const left = formatSeconds((totalBytes - bytes) / bytesPerSecond);
  const ofTotal = `${amount} of ${formatBytes(totalBytes)}`;
  const line = firstThatFits(
    [
      [percent, ofTotal, rate, left],
      [percent, `${read} of ${formatBytes(totalBytes)}`, rate, left],
      [percent, read, rate, left],
      [percent, rate, left],
      [percent, left],
      [percent],
    ],
    columns,
  );
  return withBar(line, percent.length, bytes / totalBytes, columns);
}

function firstThatFits(choices: (string | undefined)[][], columns: number): string {
  const lines = choices.map((parts) => parts.filter((part) => part !== undefined).join('  '));
  return lines.find((line) => line.length <= columns) ?? (lines.at(-1) ?? '').slice(0, columns);
}

/** Puts a bar after the percentage, if there is room for one. */
function withBar(line: string, at: number, share: number, columns: number): string {
  const length = Math.min(columns - line.length - '  []'.length, 40);
  if (length < 10) return line;
  const done = '='.repeat(Math.floor(share * length));
  return `${line.slice(0, at)}  [${done.padEnd(length)}]${line.slice(at)}`;
}

function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  // What would round to 1,000 is shown in the next unit, so that there are always three digits.
  while (value >= 999.5 && units.length > 1) {
    value /= 1024;
    units.shift();
  }
  const isWhole = units[0] === 'B' || value >= 99.95;
  return `${value.toFixed(isWhole ? 0 : value >= 9.995 ? 1 : 2)} ${units[0] ?? ''}`;
}

/** @returns undefined for what is too long to be an estimate */
function formatSeconds(seconds: number): string | undefined {
  if (!(seconds < 100 * 3600)) return undefined;
  const whole = Math.ceil(seconds);
  const pad = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const text = hours > 0 ? `${hours}:${pad(minutes)}` : String(minutes);
  return `${text}:${pad(whole % 60)} left`;
}
