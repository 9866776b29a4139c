import { isSpace } from './json-scanner.ts'

export interface FoundMarker {
  readonly at: number
  readonly marker: string
}

/** The first of these in the text; of two at one place the longer. */
export function findMarker(text: string, markers: readonly string[]): FoundMarker | undefined {
  let found: FoundMarker | undefined
  for (const marker of markers) {
    const at = text.indexOf(marker)
    if (at === -1 || (found !== undefined && found.at < at)) continue
    if (found === undefined || at < found.at || marker.length > found.marker.length) found = { at, marker }
  }
  return found
}

/** Where the longest end of the text begins that one of these begins with; the length of the text if none. */
export function undecidedFrom(text: string, markers: readonly string[]): number {
  const longest = Math.max(0, ...markers.map((marker) => marker.length))
  for (let from = Math.max(0, text.length - longest + 1); from < text.length; from++) {
    const end = text.slice(from)
    if (markers.some((marker) => marker.startsWith(end))) return from
  }
  return text.length
}

/** Where the white space begins that stands before this place. */
export function spaceBefore(text: string, place: number): number {
  let from = place
  while (from > 0 && isSpace(text.charAt(from - 1))) from--
  return from
}

/** Where the white space ends that the text has from this place on. */
export function spaceAfter(text: string, place: number): number {
  let to = place
  while (to < text.length && isSpace(text.charAt(to))) to++
  return to
}
