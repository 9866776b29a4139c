/** Server-sent events as text. */
export const eventStream = 'text/event-stream; charset=utf-8'

/** `data` is sent as JSON unless it is text already. */
export function sseEvent(data: unknown, event?: string): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data)
  return `${event === undefined ? '' : `event: ${event}\n`}data: ${text}\n\n`
}
