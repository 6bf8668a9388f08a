/** What access control says. Made when the config is compiled, never per request. */
export interface Verdict {
  /** The policy or action that decided; null when none matched. */
  readonly policy: string | null;
  readonly allowed: boolean;
  /** What access logs are told; null = nothing. */
  readonly logged: boolean | null;
}
