import type { FieldError } from '@meltemi/base';

/** Collects what validation says about one object. Rules return a reason or undefined; `check` turns it into an error at a path. */
export class Findings {
  readonly errors: FieldError[] = [];
  readonly warnings: FieldError[] = [];

  error(path: string, message: string): void {
    this.errors.push({ path, message });
  }

  warn(path: string, message: string): void {
    this.warnings.push({ path, message });
  }

  check(path: string, reason: string | undefined): void {
    if (reason !== undefined) this.error(path, reason);
  }
}
