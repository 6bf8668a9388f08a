/** A range as a text: the same for all addresses in it. `length` is of the prefix, in bits. */
export function rangeKey(address: Uint8Array, length: number): string {
  let key = `${address.length}/${length}`;
  for (let i = 0; i < address.length; i++) {
    const bits = length - 8 * i;
    if (bits <= 0) break;
    const byte = address[i] ?? 0;
    key += `.${bits >= 8 ? byte : byte & (0xff00 >> bits) & 0xff}`;
  }
  return key;
}
