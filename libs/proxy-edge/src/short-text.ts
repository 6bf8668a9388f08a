/** Texts up to this length are faster written by hand than by a call into the engine; no copy of them is made either way. */
export const shortText = 64;

/**
 * `text.charCodeAt(at)`, found once and bound, which V8 puts in place. It looks a method or the length of a string up by the string's kind (flat, slice, concatenated, interned, or
 * interned since: what served as a key of a Map), and where it has seen more than four kinds it takes a slow path, for each character.
 */
const codeAt = Function.prototype.call.bind(Reflect.get(String.prototype, 'charCodeAt') as () => number) as (text: string, at: number) => number;

/** Writes the lower byte of each character from `at` on; returns all codes or-ed: above 127 some are not ASCII, above 255 some were cut. `length` is the text's. @hot */
export function writeShort(bytes: Buffer, at: number, text: string, length: number): number {
  let seen = 0;
  for (let i = 0; i < length; i++) {
    const code = codeAt(text, i);
    seen |= code;
    bytes[at + i] = code;
  }
  return seen;
}
