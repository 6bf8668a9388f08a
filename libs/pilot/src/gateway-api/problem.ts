/** Why something of the Gateway API does not work as written. `reason` is the API's own word. */
export interface Problem {
  readonly reason: string;
  readonly message: string;
}

/** Two problems as one; the first gives the reason. */
export function joined(first: Problem | undefined, second: Problem | undefined): Problem | undefined {
  if (!first || !second) return first ?? second;
  return { reason: first.reason, message: `${first.message}; ${second.message}` };
}
