import { parseJwt } from '@meltemi/identity/jwt';
import { Base64Decoder } from '../../filters/http/grpc-web/base64.ts';
import { readProxyHeader } from '../../inspect/proxy-protocol.ts';
import { same, type FuzzTarget } from './target.ts';

const binary = Buffer.from('0d0a0d0a000d0a515549540a21110013c0000201c0000202d431005003000401020304', 'hex').toString('latin1');

export const proxyProtocol: FuzzTarget = {
  name: 'proxy-protocol',
  about: 'PROXY protocol: no throw, a decision holds whatever follows, never longer than what came',
  seeds: ['PROXY TCP4 192.0.2.1 192.0.2.2 54321 80\r\nGET / HTTP/1.1\r\n', 'PROXY TCP6 2001:db8::1 ::1 1 65535\r\n', 'PROXY UNKNOWN\r\n', binary, binary.slice(0, 20)],
  words: ['PROXY ', 'TCP4 ', 'TCP6 ', '\r\n', ' ', '65536', '::', '\x21\x11', '\x20\x00', '\x21\x21', '\0\x0c', '\xff\xff', '\x0d\x0a\x0d\x0a\0\x0d\x0a\x51\x55\x49\x54\x0a'],
  check: (input, draw) => {
    const early = readProxyHeader(input.subarray(0, draw.below(input.length + 1)));
    const late = readProxyHeader(input);
    if (early !== 'more') same('more bytes gave another answer', JSON.stringify(late), JSON.stringify(early));
    if (typeof late === 'object' && 'length' in late && late.length > input.length) throw new Error(`a header of ${late.length} bytes in ${input.length}`);
  },
};

export const grpcWebText: FuzzTarget = {
  name: 'grpc-web-text',
  about: 'base64 of gRPC-Web: no throw, the same bytes and the same verdict however the text is cut',
  seeds: [Buffer.from('\0\0\0\0\x05hello').toString('base64'), `${Buffer.from('a').toString('base64')}${Buffer.from('bc').toString('base64')}`, 'AAAA', '===='],
  words: ['=', '==', '+', '/', '-', '_', '\n', ' ', 'A', 'AAAA', '\xff'],
  check: (input, draw) => {
    const at = draw.below(input.length + 1);
    const read = (cuts: readonly number[]) => {
      const decoder = new Base64Decoder();
      let text = '';
      let from = 0;
      for (const to of [...cuts, input.length]) {
        const part = decoder.decode(input, from, to);
        // What a broken text begins with may have gone on already.
        if (part === null) return 'broken';
        text += part.toString('latin1');
        from = to;
      }
      return `${text}|${decoder.complete}`;
    };
    same('cut otherwise it says', read([at]), read([]));
  },
};

const part = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url');

export const jwt: FuzzTarget = {
  name: 'jwt',
  about: 'JSON Web Tokens: no throw, the same verdict each time, and never a token without signature or algorithm',
  seeds: [`${part({ alg: 'RS256', kid: 'a', typ: 'JWT' })}.${part({ iss: 'i', aud: ['a'], exp: 4_000_000_000 })}.c2lnbmF0dXJl`, `${part({ alg: 'none' })}.${part({})}.`, `${part({ alg: 'ES256' })}.${part({ exp: 1e300, nbf: -1 })}.AA`],
  words: ['.', '..', 'e30', 'e30.', '=', '-', '_', '+', '\0', part({ alg: 'none' }), part([]), part(null), part({ alg: ['RS256'] })],
  check: (input) => {
    const text = input.toString('latin1');
    const once = parseJwt(text);
    same('a second time it says', JSON.stringify(parseJwt(text)), JSON.stringify(once));
    if (once.ok && text.split('.').length !== 3) throw new Error('a token of other than three parts is taken');
  },
};
