/** What verbs write to a terminal. Everything here is silent or plain where the output is none. */

/** Columns for help and bars. */
export function terminalWidth(stream: NodeJS.WriteStream): number {
  return Math.min(Math.max(stream.columns ?? 100, 40), 120)
}

/** Faint text on a terminal that shows colours. */
export function dim(words: string, stream: NodeJS.WriteStream): string {
  return stream.isTTY && process.env['NO_COLOR'] === undefined ? `\u001b[2m${words}\u001b[22m` : words
}

/** `[#####-----]  50%` for a fraction of 0 to 1. */
export function barText(fraction: number, width: number): string {
  const share = Math.min(1, Math.max(0, fraction))
  const done = Math.round(share * width)
  return `[${'#'.repeat(done)}${'-'.repeat(width - done)}] ${String(Math.round(share * 100)).padStart(3)}%`
}

/**
 * Redraws a bar until the returned function is called, which wipes it. `progress` is asked ten times a second;
 * undefined leaves the bar as it is.
 */
export function showProgress(
  label: string,
  progress: () => number | undefined,
  stream: NodeJS.WriteStream,
): () => void {
  if (!stream.isTTY) return () => undefined
  const draw = (): void => {
    const fraction = progress()
    if (fraction !== undefined) stream.write(`\r\u001b[K${label} ${barText(fraction, 30)}`)
  }
  draw()
  const timer = setInterval(draw, 100)
  timer.unref()
  return () => {
    clearInterval(timer)
    stream.write('\r\u001b[K')
  }
}
