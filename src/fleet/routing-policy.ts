/** One engine as a router knows it. */
export interface EngineView {
  /** Position in the list of engines. */
  readonly index: number
  /** Requests that were sent there and have not ended. */
  numRequests: number
  /** Tokens that these come to in the end, prompts and answers. */
  numTokens: number
}

/** What a router may know of a request before it is sent anywhere. */
export interface RoutedRequest {
  readonly tokens: readonly number[]
  readonly tenant: string
  readonly program: string | undefined
}

/**
 * Decides which engine gets a request. A new rule is one file in `routing/` and one line in its registry. One object
 * serves one router; it may remember what it chose.
 */
export interface RoutingPolicy {
  readonly name: string
  /** The index of one of `engines`, of which there is at least one. */
  route(request: RoutedRequest, engines: readonly EngineView[]): number
}
