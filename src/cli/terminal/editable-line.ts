/** A line with a cursor in it, as it is edited: pure data, which knows neither keys nor terminals. */
import { isUtf8 } from 'node:buffer';

/** A run of text; or something that is shown as a summary, and moved over or erased as a whole. */
export interface Piece {
  readonly bytes: readonly number[];
  readonly isSummarized: boolean;
}

/** A side of the cursor. */
export type Side = 'before' | 'after';

/**
 * How much, counted from the cursor: one character as people count them; a word, with the spaces
 * between it and the cursor; or everything on that side.
 */
export type Extent = 'character' | 'word' | 'all';

export interface EditableLine {
  /** Inserts before the cursor. */
  insert: (piece: Piece) => void;
  /** Moves the cursor over what is on that side of it. */
  move: (side: Side, extent: Extent) => void;
  erase: (side: Side, extent: Extent) => void;
  /** @returns what is on that side, in the order of the line */
  piecesOn: (side: Side) => readonly Piece[];
}

export function createEditableLine(): EditableLine {
  const sides: Record<Side, readonly Piece[]> = { before: [], after: [] };

  /** Takes that much away from one side. */
  const take = (side: Side, extent: Extent): readonly Piece[] => {
    const pieces = sides[side];
    const nearest = side === 'before' ? pieces.at(-1) : pieces[0];
    if (nearest === undefined || extent === 'all') {
      sides[side] = [];
      return pieces;
    }
    const others = side === 'before' ? pieces.slice(0, -1) : pieces.slice(1);
    if (nearest.isSummarized) {
      sides[side] = others;
      return [nearest];
    }
    const { bytes } = nearest;
    const count = countNearest(Buffer.from(bytes), side, extent);
    const cut = side === 'before' ? bytes.length - count : count;
    const [first, second] = [textPiece(bytes.slice(0, cut)), textPiece(bytes.slice(cut))];
    sides[side] = side === 'before' ? [...others, ...first] : [...second, ...others];
    return side === 'before' ? second : first;
  };

  return {
    insert: (piece) => {
      sides.before = join(sides.before, [piece]);
    },
    move: (side, extent) => {
      const taken = take(side, extent);
      if (side === 'before') sides.after = join(taken, sides.after);
      else sides.before = join(sides.before, taken);
    },
    erase: (side, extent) => {
      take(side, extent);
    },
    piecesOn: (side) => sides[side],
  };
}

/** @returns no piece for no text */
const textPiece = (bytes: readonly number[]): Piece[] =>
  bytes.length === 0 ? [] : [{ bytes, isSummarized: false }];

/** Text that meets becomes one piece, because a character can be on both sides of the seam. */
function join(left: readonly Piece[], right: readonly Piece[]): readonly Piece[] {
  const [last, first] = [left.at(-1), right[0]];
  if (last === undefined || first === undefined || last.isSummarized || first.isSummarized) {
    return [...left, ...right];
  }
  return [...left.slice(0, -1), ...textPiece(last.bytes.concat(first.bytes)), ...right.slice(1)];
}

/** @returns how many bytes of the text, at the end where the cursor is, belong together */
function countNearest(bytes: Buffer, side: Side, extent: 'character' | 'word'): number {
  // If it is not text, it is one byte: decoding would not give the same bytes back.
  if (!isUtf8(bytes)) return 1;
  const text = bytes.toString();
  const nearest = extent === 'word' ? nearestWord(text, side) : nearestCharacter(text, side);
  return Buffer.byteLength(nearest);
}

/** @returns an emoji family, a letter with its accents */
function nearestCharacter(text: string, side: Side): string {
  // Only created when needed, because it loads the Unicode rules of all languages.
  const segments = new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(text);
  return segments.containing(side === 'before' ? text.length - 1 : 0)?.segment ?? '';
}

function nearestWord(text: string, side: Side): string {
  if (side === 'before') return text.slice(text.trimEnd().lastIndexOf(' ') + 1);
  return /^\s*[^ ]*/.exec(text)?.[0] ?? '';
}
