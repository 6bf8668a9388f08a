/**
 * The text as the string that the engine keeps once for all of its kind: compared with another such string it is the same or not without a look at
 * its characters. For names that requests are asked for.
 */
export function internalised(text: string): string {
  // A property key is such a string.
  return Object.keys({ [text]: 0 })[0] ?? '';
}

/** A field's name in lower case, as the codecs make those of a message. For names in configurations. */
export function fieldNameOf(name: string): string {
  return internalised(name.toLowerCase());
}
