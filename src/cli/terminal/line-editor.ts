/**
 * A message as it is typed and pasted on a raw terminal: what the terminal sends goes in; the
 * message, and what to show of it, comes out. It does no input or output and has no clock: whoever
 * reads the terminal tells it when nothing has arrived for a while.
 *
 * How the bytes are split into reads makes no difference, except for two keys that are recognized
 * by arriving alone in a read: Enter, which then needs no pause, and Ctrl-C, which then interrupts
 * even a paste whose end mark was lost.
 */
import { isUtf8 } from 'node:buffer';
import { StringDecoder } from 'node:string_decoder';
import { createTerminalInput } from './key-bytes.ts';
import { visibleText } from './visible-text.ts';

/** The outcome of a read or a pause; `undefined` to continue reading. */
export type Outcome = 'entered' | 'interrupted' | 'suspended' | undefined;

export interface LineEditor {
  /** Takes the bytes of one read. Anything after the byte that ended the message is dropped. */
  feed: (chunk: Uint8Array) => Outcome;
  /**
   * To be called when nothing has arrived for a while: an ESC was the key and not an escape
   * sequence, a line break was Enter and not one of several in a paste, and everything so far
   * belongs together.
   */
  pause: () => Outcome;
  /** The message so far, to show on one line: nothing in it can control the terminal. */
  visible: () => string;
  /** The message: the bytes as they came, with LF for each line break. */
  message: () => Uint8Array;
}

/** Pastes up to this length, without line breaks, are shown in full. */
const longestShownPaste = 200;

const key = {
  ctrlC: 0x03,
  ctrlD: 0x04,
  ctrlH: 0x08,
  tab: 0x09,
  lineFeed: 0x0a,
  enter: 0x0d,
  ctrlU: 0x15,
  ctrlW: 0x17,
  ctrlZ: 0x1a,
  backspace: 0x7f,
};

/**
 * A run of text; or something that is shown as a summary, and that Backspace removes as a whole.
 */
interface Piece {
  bytes: number[];
  isSummarized: boolean;
}

/**
 * The keys: Enter or Ctrl-D ends the message; Ctrl-D or Esc interrupts if there is none yet; Ctrl-C
 * always interrupts; Backspace removes one character as people count them, or the whole of a paste
 * that is shown as a summary; Ctrl-W removes a word; Ctrl-U removes everything. Tab is part of the
 * message. Other control characters and escape sequences are keys that have no meaning here, and
 * are ignored.
 *
 * All of a bracketed paste belongs to the message, including control characters. Without the marks,
 * a line break with more after it, before a pause, turns everything since the previous pause into a
 * paste: otherwise the first line alone would be the message, and the shell would run the others.
 */
export function createLineEditor(): LineEditor {
  const input = createTerminalInput();
  let pieces: Piece[] = [];
  /** What came since the last pause, typed or pasted without marks: the next pause tells which. */
  let burst: Piece = { bytes: [], isSummarized: false };
  /** A line break that is Enter if nothing follows it. */
  let pendingBreak: number | undefined;

  const isEmpty = (): boolean => pieces.length === 0 && burst.bytes.length === 0;

  const settleBurst = (): void => {
    const { bytes, isSummarized } = burst;
    burst = { bytes: [], isSummarized: false };
    const last = pieces.at(-1);
    if (bytes.length === 0) return;
    if (isSummarized || last === undefined || last.isSummarized)
      pieces.push({ bytes, isSummarized });
    else last.bytes = last.bytes.concat(bytes);
  };

  const settlePendingBreak = (): void => {
    if (pendingBreak === undefined) return;
    pendingBreak = undefined;
    burst.bytes.push(key.lineFeed);
    burst.isSummarized = true;
  };

  /** Removes the last summarized piece, or what `lastPart` finds at the end of the text. */
  const erase = (lastPart: (text: string) => string): void => {
    settleBurst();
    const last = pieces.at(-1);
    if (last === undefined) return;
    const bytes = Buffer.from(last.bytes);
    // If it is not text, one byte is removed: decoding it would not give the same bytes back.
    const count = isUtf8(bytes) ? Buffer.byteLength(lastPart(bytes.toString())) : 1;
    last.bytes.length -= last.isSummarized ? bytes.length : count;
    if (last.bytes.length === 0) pieces.pop();
  };

  const takePaste = (bytes: number[]): void => {
    settlePendingBreak();
    settleBurst();
    burst = { bytes, isSummarized: !isShownInFull(bytes) };
    settleBurst();
  };

  const takeByte = (byte: number): Outcome => {
    if (byte === key.ctrlC) return 'interrupted';
    if (byte === key.lineFeed && pendingBreak === key.enter) {
      pendingBreak = key.lineFeed; // CR LF is one line break
      return undefined;
    }
    settlePendingBreak();
    switch (byte) {
      case key.ctrlD:
        return isEmpty() ? 'interrupted' : 'entered';
      case key.ctrlZ:
        return 'suspended';
      case key.enter:
      case key.lineFeed:
        pendingBreak = byte;
        return undefined;
      case key.backspace:
      case key.ctrlH:
        erase(lastCharacter);
        return undefined;
      case key.ctrlW:
        erase(lastWord);
        return undefined;
      case key.ctrlU:
        pieces = [];
        burst = { bytes: [], isSummarized: false };
        return undefined;
      default:
        if (byte >= 0x20 || byte === key.tab) burst.bytes.push(byte);
        return undefined;
    }
  };

  const pause = (): Outcome => {
    if (input.isInPaste()) return undefined;
    const wasEscape = input.pause();
    const wasEnter = pendingBreak !== undefined && !hasLineBreak(burst.bytes);
    if (wasEnter) pendingBreak = undefined;
    settlePendingBreak();
    settleBurst();
    if (wasEnter) return 'entered';
    return wasEscape && isEmpty() ? 'interrupted' : undefined;
  };

  const feed = (chunk: Uint8Array): Outcome => {
    const only = chunk.length === 1 ? chunk[0] : undefined;
    if (only === key.ctrlC) return 'interrupted';
    const lengthBefore = burst.bytes.length;
    let outcome: Outcome;
    for (const byte of chunk) {
      const taken = input.take(byte);
      if (typeof taken === 'number') outcome = takeByte(taken) ?? outcome;
      else if (taken !== undefined) takePaste(taken);
      if (outcome === 'entered' || outcome === 'interrupted') return outcome;
    }
    // Nobody types this much between two reads.
    if (!isShownInFull(burst.bytes.slice(lengthBefore))) burst.isSummarized = true;
    const isEnterAlone = only === key.enter && pendingBreak !== undefined;
    return isEnterAlone && !hasLineBreak(burst.bytes) ? pause() : outcome;
  };

  const visible = (): string => {
    // A paste without marks is shown once it is complete.
    const shown = burst.isSummarized ? pieces : [...pieces, burst];
    // Characters of which only the first bytes have arrived are not shown yet.
    const decoder = new StringDecoder('utf8');
    return shown
      .map(({ bytes, isSummarized }) =>
        isSummarized ? summary(bytes) : visibleText(decoder.write(Buffer.from(bytes))),
      )
      .join('');
  };

  const message = (): Uint8Array =>
    Uint8Array.from([...pieces, burst].flatMap(({ bytes }) => bytes));

  return { feed, pause, visible, message };
}

/** @returns the last character as people count them: an emoji family, a letter with its accents */
function lastCharacter(text: string): string {
  // Only created on Backspace, because it loads the Unicode rules of all languages.
  const segments = new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(text);
  return segments.containing(text.length - 1)?.segment ?? '';
}

/** @returns the last word, with the spaces after it */
function lastWord(text: string): string {
  return text.slice(text.trimEnd().lastIndexOf(' ') + 1);
}

function isShownInFull(bytes: number[]): boolean {
  return countCharacters(bytes) <= longestShownPaste && !hasLineBreak(bytes);
}

function hasLineBreak(bytes: number[]): boolean {
  return bytes.includes(key.lineFeed);
}

/** @returns the number of Unicode code points */
function countCharacters(bytes: number[]): number {
  return bytes.filter((byte) => (byte & 0xc0) !== 0x80).length;
}

/** @returns for example `[pasted 5,674 characters, 74 lines]` */
function summary(bytes: number[]): string {
  const breaks = bytes.filter((byte) => byte === key.lineFeed).length;
  const endsInBreak = bytes.at(-1) === key.lineFeed;
  const parts = [counted(countCharacters(bytes), 'character')];
  if (breaks > 0) parts.push(counted(endsInBreak ? breaks : breaks + 1, 'line'));
  // It is part of the message, but nobody would see it.
  if (endsInBreak) parts.push('line break at the end');
  return `[pasted ${parts.join(', ')}]`;
}

function counted(count: number, noun: string): string {
  const digits = String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
  return `${digits} ${noun}${count === 1 ? '' : 's'}`;
}
