/** Worst first. */
export const levels = ['Error', 'Warning', 'Info'] as const;
export type Level = (typeof levels)[number];

/** True when `level` is at least as bad as `threshold`. */
export function reaches(level: Level, threshold: Level): boolean {
  return levels.indexOf(level) <= levels.indexOf(threshold);
}

/** What an analyzer says of an object: a type and its filled-in text. */
export interface Said {
  readonly type: MessageFacts;
  readonly text: string;
}

/** One of Istio's message types. The code, name and level are Istio's; the words are ours. */
export interface MessageFacts {
  readonly code: string;
  readonly name: string;
  readonly level: Level;
  /** One sentence for the list of codes. */
  readonly about: string;
}

export type MessageType<Values extends readonly unknown[]> = MessageFacts & ((...values: Values) => Said);

/** A message type, callable with its values. */
export function messageType<Values extends readonly unknown[]>(facts: MessageFacts, text: (...values: Values) => string): MessageType<Values> {
  const type = (...values: Values): Said => ({ type: facts, text: text(...values) });
  Object.defineProperty(type, 'name', { value: facts.name });
  return Object.assign(type, { code: facts.code, level: facts.level, about: facts.about });
}

/** "a", "b" and "c". */
export function listed(names: readonly string[]): string {
  const quoted = names.map((name) => `"${name}"`);
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} and ${quoted.at(-1)}`;
}
