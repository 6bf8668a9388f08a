/**
 * A field's name in lower case, as the string that the engine keeps once for all of its kind: compared with another such name, as the codecs make them, it is the
 * same or not without a look at its characters. For names in configurations.
 */
export function fieldNameOf(name: string): string {
  // A property key is such a string.
  return Object.keys({ [name.toLowerCase()]: 0 })[0] ?? '';
}
