/** Decodes %XY to bytes and those as UTF-8; broken escapes stay. */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  const input = Buffer.from(text);
  const output = Buffer.alloc(input.length);
  let length = 0;
  for (let i = 0; i < input.length; i++) {
    const byte = input[i] ?? 0;
    const pair = byte === 37 && i + 2 < input.length ? input.toString('latin1', i + 1, i + 3) : '';
    if (/^[0-9a-fA-F]{2}$/.test(pair)) {
      output[length++] = Number.parseInt(pair, 16);
      i += 2;
    } else output[length++] = byte;
  }
  return output.toString('utf8', 0, length);
}

/** Encodes the UTF-8 bytes that are not visible ASCII, and the characters of `reserved` ("%" when unset). */
export function percentEncode(text: string, reserved = '%'): string {
  let out = '';
  for (const byte of Buffer.from(text)) {
    const char = String.fromCharCode(byte);
    out += byte <= 32 || byte >= 127 || reserved.includes(char) ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}` : char;
  }
  return out;
}
