const beyondAscii = /[^\0-\x7f]/;
/** One character of UTF-8 beyond ASCII, as RFC 3629 has them. */
const sequence = /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/g;

/** A text of a config or a token as the values of fields are kept: one character for each byte of its UTF-8. */
export function toWire(text: string): string {
  return beyondAscii.test(text) ? Buffer.from(text).toString('latin1') : text;
}

/** The text that the value of a field is meant to be; what is no UTF-8 stays a character for each byte. */
export function fromWire(value: string): string {
  return beyondAscii.test(value) ? value.replace(sequence, (bytes) => Buffer.from(bytes, 'latin1').toString()) : value;
}
