/** Exit codes, istioctl's where it has one. */
export const exitCode = { ok: 0, failed: 1, usage: 64, foundIssues: 79 } as const;

/** Ends a command with a sentence for a person, on standard error. */
export class CliError extends Error {
  readonly code: number;

  constructor(message: string, code: number = exitCode.failed) {
    super(message);
    this.code = code;
  }
}
