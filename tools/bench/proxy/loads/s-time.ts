import type { Bench } from '../bench-run.ts';
import type { Leaf } from '../certificates.ts';

export interface STime {
  readonly connections: number;
  readonly bytesPerConnection: number;
}

/** `openssl s_time`: one new TLS 1.3 connection after the other, with a client certificate and one HTTP/1.0 request each. */
export async function sTime(bench: Bench, { port, seconds, leaf, ca }: { readonly port: number; readonly seconds: number; readonly leaf: Leaf; readonly ca: string }): Promise<STime> {
  return readSTime(await bench.run(['openssl', 's_time', '-connect', `127.0.0.1:${port}`, '-new', '-tls1_3', '-www', '/', '-time', String(seconds), '-cert', leaf.certFile, '-key', leaf.keyFile, '-CAfile', ca], seconds + 20));
}

/** Reads s_time's report. Throws when a number is missing. */
export function readSTime(text: string): STime {
  const found = /(\d+) connections in \d+ real seconds, (\d+) bytes read per connection/.exec(text);
  if (!found) throw new Error(`s_time said nothing about connections:\n${text.slice(-1000)}`);
  return { connections: Number(found[1]), bytesPerConnection: Number(found[2]) };
}
