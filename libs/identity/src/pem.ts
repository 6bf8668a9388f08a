import { fail, ok, type Result } from '@meltemi/base';

/** Bounds for one PEM text. Defaults: 64 KiB, 16 blocks. */
export interface PemLimits {
  readonly maxBytes?: number;
  readonly maxBlocks?: number;
}

/** Every block of `text` as DER, in order. All must be labelled `label` (RFC 7468); text between blocks is ignored, as openssl does. */
export function parsePem(text: string, label: string, limits: PemLimits = {}): Result<Buffer[]> {
  const maxBytes = limits.maxBytes ?? 65_536;
  const maxBlocks = limits.maxBlocks ?? 16;
  if (text.length > maxBytes) return fail('', `PEM text of ${text.length} bytes; the limit is ${maxBytes}`);
  const blocks: Buffer[] = [];
  let at = text.indexOf('-----BEGIN ');
  while (at !== -1) {
    const begin = `-----BEGIN ${label}-----`;
    const end = `-----END ${label}-----`;
    if (!text.startsWith(begin, at)) return fail('', `PEM block ${blocks.length} is not labelled ${label}`);
    const stop = text.indexOf(end, at);
    if (stop === -1) return fail('', `PEM block ${blocks.length} has no ${end} line`);
    const body = text.slice(at + begin.length, stop).replace(/[\r\n\t ]+/g, '');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(body) || body.length % 4 !== 0) return fail('', `PEM block ${blocks.length} is not base64`);
    blocks.push(Buffer.from(body, 'base64'));
    if (blocks.length > maxBlocks) return fail('', `more than ${maxBlocks} PEM blocks`);
    at = text.indexOf('-----BEGIN ', stop + end.length);
  }
  if (blocks.length === 0) return fail('', `no PEM block: expected -----BEGIN ${label}-----`);
  return ok(blocks);
}

/** One PEM block, 64 characters a line, with a final newline. */
export function formatPem(label: string, der: Uint8Array): string {
  const body = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64');
  let lines = '';
  for (let at = 0; at < body.length; at += 64) lines += `${body.slice(at, at + 64)}\n`;
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}
