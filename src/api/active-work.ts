/** Counts what is under way, so that a server which shuts down knows when it may end. */
export class ActiveWork {
  #count = 0
  #waiting: (() => void)[] = []

  get count(): number {
    return this.#count
  }

  /** Returns the way to end it; ending twice counts once. */
  start(): () => void {
    this.#count++
    let isOpen = true
    return () => {
      if (!isOpen) return
      isOpen = false
      if (--this.#count === 0) this.#settle()
    }
  }

  /** Resolves when nothing is under way; at once when nothing is. */
  idle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  #settle(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
