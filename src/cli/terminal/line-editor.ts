/**
 * A message as it is typed and pasted on a raw terminal: what the terminal sends goes in; the
 * message, and what to show of it, comes out. It does no input or output and has no clock: whoever
 * reads the terminal tells it when nothing has arrived for a while.
 *
 * How the bytes are split into reads makes no difference, except for two keys that are recognized
 * by arriving alone in a read: Enter, which then needs no pause, and Ctrl-C, which then interrupts
 * even a paste whose end mark was lost.
 */
import { StringDecoder } from 'node:string_decoder';
import { createEditableLine, type Extent, type Piece, type Side } from './editable-line.ts';
import { createTerminalInput, type KeyName } from './key-bytes.ts';
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
  /**
   * The message so far, before and after the cursor, to show on one line: nothing in it can control
   * the terminal.
   */
  visible: () => { before: string; after: string };
  /** The message: the bytes as they came, with LF for each line break. */
  message: () => Uint8Array;
}

/** Pastes up to this length, without line breaks, are shown in full. */
const longestShownPaste = 200;

const key = {
  ctrlC: 0x03,
  ctrlD: 0x04,
  tab: 0x09,
  lineFeed: 0x0a,
  enter: 0x0d,
  ctrlU: 0x15,
  ctrlZ: 0x1a,
};

type Edit = readonly [action: 'move' | 'erase', side: Side, extent: Extent];

/** Keys with a name, and control characters. */
const edits = new Map<KeyName | number, Edit>([
  ['left', ['move', 'before', 'character']],
  [0x02, ['move', 'before', 'character']], // Ctrl-B
  ['right', ['move', 'after', 'character']],
  [0x06, ['move', 'after', 'character']], // Ctrl-F
  ['wordLeft', ['move', 'before', 'word']],
  ['wordRight', ['move', 'after', 'word']],
  ['home', ['move', 'before', 'all']],
  [0x01, ['move', 'before', 'all']], // Ctrl-A
  ['end', ['move', 'after', 'all']],
  [0x05, ['move', 'after', 'all']], // Ctrl-E
  [0x7f, ['erase', 'before', 'character']], // Backspace
  [0x08, ['erase', 'before', 'character']], // Ctrl-H, or Backspace on some terminals
  ['delete', ['erase', 'after', 'character']],
  [0x17, ['erase', 'before', 'word']], // Ctrl-W
  [0x0b, ['erase', 'after', 'all']], // Ctrl-K
]);

/**
 * The keys: Enter or Ctrl-D ends the message; Ctrl-D or Esc interrupts if there is none yet; Ctrl-C
 * always interrupts. The arrow keys, Home, End, Ctrl-A, Ctrl-B, Ctrl-E and Ctrl-F move the cursor,
 * by characters as people count them, and over a paste that is shown as a summary as a whole; with
 * Ctrl or Alt the arrow keys move by words. Backspace and Delete remove as much; Ctrl-W removes the
 * word before the cursor, Ctrl-K everything after it, and Ctrl-U the whole message, as it does on a
 * terminal in its usual mode. Tab is part of the message. Other control characters and escape
 * sequences are keys that have no meaning here, and are ignored.
 *
 * All of a bracketed paste belongs to the message, including control characters. Without the marks,
 * a line break with more after it, before a pause, turns everything since the previous pause into a
 * paste: otherwise the first line alone would be the message, and the shell would run the others.
 */
export function createLineEditor(): LineEditor {
  const input = createTerminalInput();
  const line = createEditableLine();
  /** What came since the last pause, typed or pasted without marks: the next pause tells which. */
  let burst = emptyBurst();
  /** A line break that is Enter if nothing follows it. */
  let pendingBreak: number | undefined;

  const allPieces = (): Piece[] => [...line.piecesOn('before'), burst, ...line.piecesOn('after')];
  const isEmpty = (): boolean => allPieces().every(({ bytes }) => bytes.length === 0);

  const settleBurst = (): void => {
    if (burst.bytes.length > 0) line.insert(burst);
    burst = emptyBurst();
  };

  const settlePendingBreak = (): void => {
    if (pendingBreak === undefined) return;
    pendingBreak = undefined;
    burst.bytes.push(key.lineFeed);
    burst.isSummarized = true;
  };

  const edit = ([action, side, extent]: Edit): void => {
    settlePendingBreak();
    settleBurst();
    line[action](side, extent);
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
      case key.ctrlU:
        edit(['erase', 'before', 'all']);
        edit(['erase', 'after', 'all']);
        return undefined;
    }
    const meaning = edits.get(byte);
    if (meaning !== undefined) edit(meaning);
    else if (byte >= 0x20 || byte === key.tab) burst.bytes.push(byte);
    return undefined;
  };

  const takeKey = (name: KeyName): void => {
    const meaning = edits.get(name);
    if (meaning !== undefined) edit(meaning);
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
      else if (typeof taken === 'object') takePaste(taken);
      else if (taken !== undefined) takeKey(taken);
      if (outcome === 'entered' || outcome === 'interrupted') return outcome;
    }
    // Nobody types this much between two reads.
    if (!isShownInFull(burst.bytes.slice(lengthBefore))) burst.isSummarized = true;
    const isEnterAlone = only === key.enter && pendingBreak !== undefined;
    return isEnterAlone && !hasLineBreak(burst.bytes) ? pause() : outcome;
  };

  const visible = (): { before: string; after: string } => {
    const before = line.piecesOn('before');
    return {
      // A paste without marks is shown once it is complete.
      before: shown(burst.isSummarized ? before : [...before, burst]),
      after: shown(line.piecesOn('after')),
    };
  };

  const message = (): Uint8Array => Uint8Array.from(allPieces().flatMap(({ bytes }) => bytes));

  return { feed, pause, visible, message };
}

const emptyBurst = (): { bytes: number[]; isSummarized: boolean } => ({
  bytes: [],
  isSummarized: false,
});

function shown(pieces: readonly Piece[]): string {
  // Characters of which only the first bytes have arrived are not shown yet.
  const decoder = new StringDecoder('utf8');
  return pieces
    .map(({ bytes, isSummarized }) =>
      isSummarized ? summary(bytes) : visibleText(decoder.write(Buffer.from(bytes))),
    )
    .join('');
}

function isShownInFull(bytes: readonly number[]): boolean {
  return countCharacters(bytes) <= longestShownPaste && !hasLineBreak(bytes);
}

function hasLineBreak(bytes: readonly number[]): boolean {
  return bytes.includes(key.lineFeed);
}

/** @returns the number of Unicode code points */
function countCharacters(bytes: readonly number[]): number {
  return bytes.filter((byte) => (byte & 0xc0) !== 0x80).length;
}

/** @returns for example `[pasted 5,674 characters, 74 lines]` */
function summary(bytes: readonly number[]): string {
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
