import type { FieldError } from '@meltemi/base';
import { keyText, type Config } from '@meltemi/config';

/** An object to blame, and what went wrong when it was let in. */
export interface Culprit {
  readonly config: Config;
  readonly errors: readonly FieldError[];
}

export interface CulpritSearch {
  /** Objects known to be innocent together. */
  readonly base: readonly Config[];
  /** Objects of which at least one is to blame, those to be trusted most first: of two that only quarrel with each other the later is blamed. */
  readonly suspects: readonly Config[];
  /** What is wrong with these objects together; empty: nothing. */
  readonly test: (configs: readonly Config[]) => readonly FieldError[];
}

/**
 * Who is to blame, each found alone: halves are let in as long as nothing is wrong, and split where something is. k culprits among n suspects cost about
 * k · log₂ n tests. Undefined: the base itself fails, so nobody of the suspects alone is to blame.
 */
export function findCulprits({ base, suspects, test }: CulpritSearch): readonly Culprit[] | undefined {
  if (test(base).length > 0) return undefined;
  const culprits: Culprit[] = [];
  let accepted = [...base];
  const letIn = (some: readonly Config[]): void => {
    if (some.length === 0) return;
    const [only] = some;
    const errors = test(withConfigs(accepted, some));
    if (errors.length === 0) accepted = withConfigs(accepted, some);
    else if (some.length === 1 && only) culprits.push({ config: only, errors });
    else {
      const middle = some.length >> 1;
      letIn(some.slice(0, middle));
      letIn(some.slice(middle));
    }
  };
  letIn(suspects);
  return culprits;
}

/** A later version of an object replaces the one that is there. */
function withConfigs(base: readonly Config[], added: readonly Config[]): Config[] {
  const replaced = new Set(added.map(({ key }) => keyText(key)));
  return [...base.filter(({ key }) => !replaced.has(keyText(key))), ...added];
}
