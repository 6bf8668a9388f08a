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

  /** Makes warnings of some errors, `more` after their reasons. */
  soften(which: (error: FieldError) => boolean, more: string): void {
    const soft = this.errors.filter(which);
    const hard = this.errors.filter((error) => !which(error));
    this.errors.splice(0, Infinity, ...hard);
    for (const { path, message } of soft) this.warn(path, `${message}${more}`);
  }

  check(path: string, reason: string | undefined): void {
    if (reason !== undefined) this.error(path, reason);
  }
}
