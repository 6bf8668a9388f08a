/** What a client must know of a response to acknowledge it. */
export interface ReadResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  /** How many resources it holds; they are not looked at. */
  readonly resources: number;
}

/** Reads a DeltaDiscoveryResponse without its resources. Fields: 2 resources, 4 type_url, 5 nonce. */
export function readResponse(bytes: Buffer): ReadResponse {
  let [typeUrl, nonce, resources, at] = ['', '', 0, 0];
  const varint = (): number => {
    let [value, shift] = [0, 1];
    for (;;) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
      shift *= 128;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    if ((tag & 7) !== 2) throw new Error(`field ${tag >> 3} is no text or message`);
    const size = varint();
    if (tag >> 3 === 2) resources++;
    else if (tag >> 3 === 4) typeUrl = bytes.toString('utf8', at, at + size);
    else if (tag >> 3 === 5) nonce = bytes.toString('utf8', at, at + size);
    at += size;
  }
  return { typeUrl, nonce, resources };
}
