import type { FieldError } from '@meltemi/base';
import type { Problem } from './problem.ts';

/** A route that cannot be converted at all: it is set aside whole, with the field to blame. */
export class Refused extends Error {
  readonly problem: Problem;
  readonly field: FieldError;

  constructor(path: string, problem: Problem) {
    super(problem.message);
    this.problem = problem;
    this.field = { path, message: problem.message };
  }
}
