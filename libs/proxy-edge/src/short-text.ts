/** Texts up to this length are faster written by hand than by a call into the engine; no copy of them is made either way. */
export const shortText = 64;

/** Writes the lower byte of each character from `at` on; returns all codes or-ed: above 127 some are not ASCII, above 255 some were cut. @hot */
export function writeShort(bytes: Buffer, at: number, text: string): number {
  let seen = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    seen |= code;
    bytes[at + i] = code;
  }
  return seen;
}
