/** A request line longer than this is not waited for. */
export const maxSniffedLineBytes = 8 * 1024;

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/**
 * What protocol a plaintext connection begins with, named as Envoy's http_inspector names application protocols.
 * 'more' while the request line is incomplete; 'none' for anything that is not HTTP.
 */
export function readHttpPreface(bytes: Buffer): 'http/1.0' | 'http/1.1' | 'h2c' | 'none' | 'more' {
  const text = bytes.toString('latin1', 0, maxSniffedLineBytes);
  if (text.startsWith(preface)) return 'h2c';
  if (preface.startsWith(text)) return 'more';
  const eol = text.indexOf('\n');
  if (eol < 0) return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}( [^\r\n]*)?\r?$/.test(text) && text.length < maxSniffedLineBytes ? 'more' : 'none';
  const matched = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ \S+ HTTP\/1\.([01])\r?$/.exec(text.slice(0, eol));
  if (matched === null) return 'none';
  return matched[1] === '0' ? 'http/1.0' : 'http/1.1';
}
