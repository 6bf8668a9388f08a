import type { FieldError, Result } from '@meltemi/base';
import type { FormatOptions } from '@meltemi/http';

/** Collects what is wrong (errors refuse the resource) and what is left out (warnings) while a resource is compiled. */
export class Report {
  readonly errors: FieldError[] = [];
  readonly warnings: FieldError[] = [];
  /** What formats within the resource may say of the process: %HOSTNAME% and the like. */
  readonly formats: FormatOptions;

  constructor(formats: FormatOptions = {}) {
    this.formats = formats;
  }

  /** The resource cannot be run as asked. */
  refuse(path: string, message: string): void {
    this.errors.push({ path, message });
  }

  /** The setting only tunes; it is not acted on. */
  warn(path: string, message: string): void {
    this.warnings.push({ path, message });
  }

  /** The value, or `fallback` with the errors noted. */
  take<T, F>(result: Result<T>, fallback: F): T | F {
    if (result.ok) return result.value;
    this.errors.push(...result.error);
    return fallback;
  }

  /** The value when nothing was refused. */
  finish<T>(value: T): Result<T> {
    return this.errors.length > 0 ? { ok: false, error: this.errors } : { ok: true, value };
  }
}
