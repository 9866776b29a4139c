/** At most so many jobs at a time, in order; a job may bring more. */
export class UserPool<Job> {
  readonly #numUsers: number
  readonly #work: (job: Job) => Promise<void>
  readonly #jobs: Job[]
  #numBusy = 0
  #next = 0
  #resolve: () => void = () => undefined
  #reject: (error: unknown) => void = () => undefined

  constructor(numUsers: number, jobs: readonly Job[], work: (job: Job) => Promise<void>) {
    this.#numUsers = numUsers
    this.#jobs = [...jobs]
    this.#work = work
  }

  /** Resolves when every job has ended, those that others brought included; rejects when one fails. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#fill()
    })
  }

  /** Ahead of whatever waits. Call while a job is under way. */
  addNext(jobs: readonly Job[]): void {
    this.#jobs.splice(this.#next, 0, ...jobs)
    this.#fill()
  }

  #fill(): void {
    while (this.#numBusy < this.#numUsers && this.#next < this.#jobs.length) {
      this.#numBusy += 1
      this.#work(this.#jobs[this.#next++]!).then(() => {
        this.#numBusy -= 1
        this.#fill()
      }, this.#reject)
    }
    if (this.#numBusy === 0) this.#resolve()
  }
}
