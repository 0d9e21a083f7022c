/**
 * Takes apart what a terminal sends, byte by byte: text and control characters, pastes between the
 * marks of bracketed paste, and escape sequences: keys with a name, and others that mean nothing
 * here.
 */

const escape = 0x1b;
const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const pasteEnd = [...Buffer.from('\x1b[201~')];

export type KeyName =
  | ('left' | 'right' | 'up' | 'down' | 'wordLeft' | 'wordRight')
  | ('home' | 'end' | 'pageUp' | 'pageDown' | 'delete');

/** After `ESC [` or `ESC O`. */
const keysByLetter = new Map<string, KeyName>([
  ['A', 'up'],
  ['B', 'down'],
  ['C', 'right'],
  ['D', 'left'],
  ['F', 'end'],
  ['H', 'home'],
]);

/** Between `ESC [` and `~`: of xterm and the Linux console, and of rxvt. */
const keysByNumber = new Map<string, KeyName>([
  ['1', 'home'],
  ['3', 'delete'],
  ['4', 'end'],
  ['5', 'pageUp'],
  ['6', 'pageDown'],
  ['7', 'home'],
  ['8', 'end'],
]);

/** With Alt, which sends ESC first: what shells do, and what macOS sends for Option and an arrow. */
const keysWithAlt = new Map<string, KeyName>([
  ['b', 'wordLeft'],
  ['f', 'wordRight'],
]);

/** @param parameters for example `1;5`: with Ctrl */
function keyOf(parameters: string, final: string): KeyName | undefined {
  const [number = '', modifier = ''] = parameters.split(';');
  if (final === '~') return keysByNumber.get(number);
  const name = keysByLetter.get(final);
  const isByWord = ['3', '5'].includes(modifier); // Alt, Ctrl
  if (isByWord && name === 'left') return 'wordLeft';
  if (isByWord && name === 'right') return 'wordRight';
  return name;
}

interface TerminalInput {
  /**
   * @returns a byte of text or a control character; or the bytes of a whole paste, in which CR and
   *   CR LF have become LF, because terminals send these for the line breaks of a paste; or the key
   *   whose escape sequence the byte ended; `undefined` if it was part of another sequence, or of
   *   something that is not complete yet
   */
  take: (byte: number) => number | number[] | KeyName | undefined;
  /** True between the marks of a paste, which only the end mark ends. */
  isInPaste: () => boolean;
  /**
   * To be called when nothing has arrived for a while, so that an unfinished escape sequence is
   * over. Not for use during a paste.
   *
   * @returns true if it was nothing but ESC: the key itself
   */
  pause: () => boolean;
}

export function createTerminalInput(): TerminalInput {
  let state: 'text' | 'paste' | 'escape' | 'csi' | 'ss3' | 'controlString' | 'skip' = 'text';
  let parameters = '';
  let bytesToSkip = 0;
  let paste: number[] = [];
  /** How many of the last bytes match the beginning of the end mark. */
  let pasteEndMatched = 0;

  const skip = (count: number): void => {
    bytesToSkip = count;
    state = count > 0 ? 'skip' : 'text';
  };

  const takePasted = (byte: number): number[] | undefined => {
    if (byte === pasteEnd[pasteEndMatched]) {
      pasteEndMatched++;
      if (pasteEndMatched < pasteEnd.length) return undefined;
      state = 'text';
      return withLineFeeds(paste);
    }
    // What only began like the end mark is content. The mark has no second ESC, so only this byte
    // can start it again.
    paste.push(...pasteEnd.slice(0, pasteEndMatched));
    pasteEndMatched = byte === escape ? 1 : 0;
    if (byte !== escape) paste.push(byte);
    return undefined;
  };

  const takeEscapeSequence = (byte: number): KeyName | undefined => {
    const character = String.fromCharCode(byte);
    switch (state) {
      case 'escape':
        parameters = '';
        if (character === '[') state = 'csi';
        else if (character === 'O') state = 'ss3';
        else if (']P^_X'.includes(character)) state = 'controlString';
        else skip(continuationBytes(byte)); // Alt and a character
        return keysWithAlt.get(character);
      case 'csi':
        if (byte < 0x40 || byte > 0x7e) {
          parameters += character;
        } else if (parameters === '200' && character === '~') {
          state = 'paste';
          paste = [];
          pasteEndMatched = 0;
        } else if (parameters === '') {
          // A mouse click (button and position), or F1 to F5 on the Linux console.
          skip(character === 'M' ? 3 : character === '[' ? 1 : 0);
          return keyOf(parameters, character);
        } else {
          state = 'text';
          return keyOf(parameters, character);
        }
        break;
      case 'ss3':
        if (/[\d;]/.test(character)) break;
        skip(continuationBytes(byte));
        return keyOf('', character);
      case 'skip':
        skip(bytesToSkip - 1);
        break;
      default: // the text of a control string
    }
    return undefined;
  };

  return {
    take: (byte) => {
      if (state === 'paste') return takePasted(byte);
      // A control character interrupts an escape sequence, so that Ctrl-C and Enter always work.
      if (byte < 0x20) state = byte === escape ? 'escape' : 'text';
      else if (state !== 'text') return takeEscapeSequence(byte);
      return byte === escape ? undefined : byte;
    },
    isInPaste: () => state === 'paste',
    pause: () => {
      const wasEscape = state === 'escape';
      state = 'text';
      return wasEscape;
    },
  };
}

/** @returns how many bytes follow this one in the UTF-8 character that it starts */
function continuationBytes(byte: number): number {
  if (byte < 0xc0) return 0;
  return byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
}

function withLineFeeds(bytes: number[]): number[] {
  return bytes
    .filter((byte, index) => byte !== lineFeed || bytes[index - 1] !== carriageReturn)
    .map((byte) => (byte === carriageReturn ? lineFeed : byte));
}
