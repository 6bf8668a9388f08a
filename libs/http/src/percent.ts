/** Encodes the UTF-8 bytes that are not visible ASCII, and the characters of `reserved` ("%" when unset). */
export function percentEncode(text: string, reserved = '%'): string {
  let out = '';
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    out += byte <= 32 || byte >= 127 || reserved.includes(char) ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}` : char;
  }
  return out;
}
