import type { Attributes } from './attributes/vocabulary.ts';

/** Makes one kind of instance of attributes; undefined when the event is none of its kind. */
export interface Template<Instance> {
  readonly name: string;
  readonly instance: (attributes: Attributes) => Instance | undefined;
}

/** A configured adapter: takes instances of the template it was made for. */
export interface Handler<Instance> {
  readonly name: string;
  readonly handle: (instance: Instance) => void;
}

/** When `match` holds, the instances go to the handler. */
export interface Rule {
  readonly name: string;
  readonly match: (attributes: Attributes) => boolean;
  readonly act: (attributes: Attributes) => void;
}

/** Binds template and handler: whoever writes a rule need not know the instance's type. */
export function rule<Instance>(spec: { name: string; match?: (attributes: Attributes) => boolean; template: Template<Instance>; handler: Handler<Instance> }): Rule {
  return {
    name: spec.name,
    match: spec.match ?? (() => true),
    act(attributes) {
      const instance = spec.template.instance(attributes);
      if (instance !== undefined) spec.handler.handle(instance);
    },
  };
}

/** Mixer's Report: every event goes through every rule that matches. A rule that throws is a bug; it is told and does not stop the others. */
export class ReportRuntime {
  readonly #rules: readonly Rule[];
  readonly #onError: (rule: string, error: unknown) => void;

  constructor(rules: readonly Rule[], onError: (rule: string, error: unknown) => void) {
    this.#rules = rules;
    this.#onError = onError;
  }

  report(attributes: Attributes): void {
    for (const { name, match, act } of this.#rules) {
      try {
        if (match(attributes)) act(attributes);
      } catch (error) {
        this.#onError(name, error);
      }
    }
  }
}
