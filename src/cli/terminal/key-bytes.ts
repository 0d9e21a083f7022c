/**
 * What a terminal sends, taken apart byte by byte: text and control characters, pastes between
 * the marks of bracketed paste, and escape sequences, which are keys without a meaning here.
 */

const escape = 0x1b;
const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const pasteEnd = [...Buffer.from('\x1b[201~')];

interface TerminalInput {
  /**
   * @returns a byte of text or a control character; or the bytes of a whole paste, in which LF
   * stands for CR and CR LF, because terminals send these for the line breaks of what is pasted;
   * `undefined` when the byte was part of an escape sequence, or of something that goes on
   */
  take: (byte: number) => number | number[] | undefined;
  /** True between the marks of a paste: nothing but the end mark ends it. */
  isInPaste: () => boolean;
  /**
   * Nothing came for a while, so an escape sequence that was begun doesn't go on. Not for the time
   * in a paste.
   *
   * @returns true when it was nothing but ESC: the key itself
   */
  pause: () => boolean;
}

export function createTerminalInput(): TerminalInput {
  let state: 'text' | 'paste' | 'escape' | 'csi' | 'ss3' | 'controlString' | 'skip' = 'text';
  let parameters = '';
  let bytesToSkip = 0;
  let paste: number[] = [];
  /** How many of the last bytes are the beginning of the end mark. */
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
    // What only began like the end mark is content. The mark has no second ESC, so it can begin
    // anew with this byte only.
    paste.push(...pasteEnd.slice(0, pasteEndMatched));
    pasteEndMatched = byte === escape ? 1 : 0;
    if (byte !== escape) paste.push(byte);
    return undefined;
  };

  const takeEscapeSequence = (byte: number): void => {
    const character = String.fromCharCode(byte);
    switch (state) {
      case 'escape':
        parameters = '';
        if (character === '[') state = 'csi';
        else if (character === 'O') state = 'ss3';
        else if (']P^_X'.includes(character)) state = 'controlString';
        else skip(continuationBytes(byte)); // Alt and a character
        break;
      case 'csi':
        if (byte < 0x40 || byte > 0x7e) {
          parameters += character;
        } else if (parameters === '200' && character === '~') {
          state = 'paste';
          paste = [];
          pasteEndMatched = 0;
        } else if (parameters === '') {
          // A mouse's button and place; F1 to F5 of the Linux console.
          skip(character === 'M' ? 3 : character === '[' ? 1 : 0);
        } else {
          state = 'text';
        }
        break;
      case 'ss3':
        if (!/[\d;]/.test(character)) skip(continuationBytes(byte));
        break;
      case 'skip':
        skip(bytesToSkip - 1);
        break;
      default: // a control string's text
    }
  };

  return {
    take: (byte) => {
      if (state === 'paste') return takePasted(byte);
      // A control character cuts an escape sequence: Ctrl-C and Enter always work.
      if (byte < 0x20) state = byte === escape ? 'escape' : 'text';
      else if (state !== 'text') {
        takeEscapeSequence(byte);
        return undefined;
      }
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

/** @returns how many bytes follow this one in the UTF-8 character that it begins */
function continuationBytes(byte: number): number {
  if (byte < 0xc0) return 0;
  return byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
}

function withLineFeeds(bytes: number[]): number[] {
  return bytes
    .filter((byte, index) => byte !== lineFeed || bytes[index - 1] !== carriageReturn)
    .map((byte) => (byte === carriageReturn ? lineFeed : byte));
}
