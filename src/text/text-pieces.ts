/**
 * Cuts long text into pieces that tokenise to the same tokens one after another. libllama needs that: its cost grows
 * with the square of the number of special tokens in one call, with SentencePiece vocabularies also with the square
 * of the characters spelled as bytes (line breaks among them), and its regular expressions recurse once per character
 * and overflow the stack on long matches. Pure: text in, text out.
 */

/** Texts up to this many UTF-16 units are never cut. */
export const pieceLength = 4096
/** A cut comes after this many special tokens. */
const specialsPerPiece = 8

/** What a vocabulary needs to be cut safely. */
export interface PieceRules {
  /** Matches every special token's text that may be cut in front of (global flag); undefined when there is none. */
  readonly specials: RegExp | undefined
  /** Whether a piece must not be longer than `pieceLength`, even if that cuts inside a word. */
  readonly bounded: boolean
}

/**
 * The pieces of `text` in order; joined they are `text`. Cuts in front of special tokens are exact. With `bounded`,
 * other cuts come between a line break and what follows, else in front of a space, and only in a stretch of
 * `pieceLength` without either inside a word, where a token may differ from that of the uncut text.
 */
export function textPieces(text: string, rules: PieceRules): string[] {
  if (text.length <= pieceLength) return [text]
  const pieces: string[] = []
  let start = 0
  for (const cut of [...cutsBeforeSpecials(text, rules.specials), text.length]) {
    if (rules.bounded) pushBounded(pieces, text, start, cut)
    else pieces.push(text.slice(start, cut))
    start = cut
  }
  return pieces
}

/** A pattern for special tokens, longest first, as libllama looks for them. */
export function specialsPattern(specials: readonly string[]): RegExp | undefined {
  const texts = specials.filter((special) => special !== '').toSorted((a, b) => b.length - a.length)
  if (texts.length === 0) return undefined
  return new RegExp(
    texts.map((special) => special.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)).join('|'),
    'g',
  )
}

function cutsBeforeSpecials(text: string, specials: RegExp | undefined): number[] {
  if (specials === undefined) return []
  const cuts: number[] = []
  let seen = 0
  for (const match of text.matchAll(specials)) {
    if (seen > 0 && seen % specialsPerPiece === 0 && match.index > 0) cuts.push(match.index)
    seen += 1
  }
  return cuts
}

function pushBounded(pieces: string[], text: string, from: number, to: number): void {
  let start = from
  while (to - start > pieceLength) {
    const end = boundedCut(text, start, start + pieceLength)
    pieces.push(text.slice(start, end))
    start = end
  }
  pieces.push(text.slice(start, to))
}

/** The best place for a cut in (start, limit]; the later half is searched, so pieces stay long. */
function boundedCut(text: string, start: number, limit: number): number {
  const earliest = start + pieceLength / 2
  for (let cut = limit; cut > earliest; cut--) {
    if (text[cut - 1] === '\n' && !isSpace(text[cut])) return cut
  }
  for (let cut = limit; cut > earliest; cut--) {
    if (text[cut] === ' ' && !isSpace(text[cut - 1]) && !isSpace(text[cut + 1])) return cut
  }
  const unit = text.charCodeAt(limit)
  const insidePair = unit >= 0xdc00 && unit <= 0xdfff
  return insidePair ? limit - 1 : limit
}

function isSpace(character: string | undefined): boolean {
  return character !== undefined && /\s/.test(character)
}
