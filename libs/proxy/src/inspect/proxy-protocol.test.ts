import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readProxyHeader, writeProxyHeader, type ProxyAddresses } from './proxy-protocol.ts';

const four: ProxyAddresses = { sourceIp: '203.0.113.7', sourcePort: 51000, destinationIp: '10.0.0.9', destinationPort: 443 };
const six: ProxyAddresses = { sourceIp: '2001:db8::7', sourcePort: 51000, destinationIp: 'fd00::9', destinationPort: 443 };

test('version 1 is a line of text', () => {
  const line = 'PROXY TCP4 203.0.113.7 10.0.0.9 51000 443\r\n';
  assert.deepEqual(readProxyHeader(Buffer.from(`${line}GET /`)), { version: 1, length: line.length, tlvs: [], addresses: four });
  assert.deepEqual(readProxyHeader(Buffer.from('PROXY UNKNOWN ffff::1 whatever\r\n')), { version: 1, length: 32, tlvs: [], addresses: null });
});

test('version 2 has binary addresses and values behind them', () => {
  const header = writeProxyHeader(2, six, [{ type: 0xea, value: Buffer.from('vpce-1') }]);
  assert.deepEqual(readProxyHeader(Buffer.concat([header, Buffer.from('GET /')])), { version: 2, length: header.length, addresses: six, tlvs: [{ type: 0xea, value: Buffer.from('vpce-1') }] });
  assert.deepEqual(readProxyHeader(writeProxyHeader(2, null)), { version: 2, length: 16, addresses: null, tlvs: [] });
});

test('what is not one is told from the first byte that differs, and a version that is not wanted is not seen', () => {
  assert.equal(readProxyHeader(Buffer.from('P')), 'more');
  assert.equal(readProxyHeader(Buffer.from('POST / HTTP/1.1\r\n')), 'none');
  assert.equal(readProxyHeader(Buffer.from('\r\n\r\n\0')), 'more');
  assert.equal(readProxyHeader(Buffer.from('\r\nx')), 'none');
  assert.equal(readProxyHeader(Buffer.from('PROXY TCP4'), { v1: false, v2: true }), 'none');
});

test('a header that is wrong is broken, not somebody\'s request', () => {
  for (const text of ['PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n', 'PROXY TCP4 1.2.3.4 ::1 1 2\r\n', 'PROXY TCP6 1.2.3.4 1.2.3.5 1 2\r\n', 'PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n', `PROXY ${'x'.repeat(120)}`, 'PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n', 'PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n'])
    assert.equal(typeof readProxyHeader(Buffer.from(text)), 'object', text);
  const wrong = (at: number, byte: number) => {
    const header = writeProxyHeader(2, four);
    header[at] = byte;
    return readProxyHeader(header);
  };
  for (const [at, byte] of [[12, 0x31], [12, 0x22], [13, 0x12], [13, 0x31], [13, 0x21]] as const) assert.ok('broken' in (wrong(at, byte) as object), `${at}`);
  const cut = writeProxyHeader(2, four, [{ type: 1, value: Buffer.from('ab') }]);
  cut[fixedAndAddresses + 2] = 9;
  assert.ok('broken' in (readProxyHeader(cut) as object));
});
const fixedAndAddresses = 28;

const ip4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join('.'));
const port = fc.nat(65_535);
const tlvs = fc.array(fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 40 })).map(([type, bytes]) => ({ type, value: Buffer.from(bytes) })), { maxLength: 5 });

test('what is written is read back, and every cut of it asks for more', () => {
  fc.assert(fc.property(ip4, ip4, port, port, tlvs, fc.constantFrom(1 as const, 2 as const), (sourceIp, destinationIp, sourcePort, destinationPort, values, version) => {
    const addresses = { sourceIp, destinationIp, sourcePort, destinationPort };
    const header = writeProxyHeader(version, addresses, values);
    assert.deepEqual(readProxyHeader(Buffer.concat([header, Buffer.from('rest')])), { version, length: header.length, addresses, tlvs: version === 2 ? values : [] });
    for (let length = 0; length < header.length; length++) assert.equal(readProxyHeader(header.subarray(0, length)), 'more');
  }));
});

test('no bytes make the reader throw or ask for more than a header can have', () => {
  const starts = [Buffer.alloc(0), Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '), writeProxyHeader(2, four).subarray(0, 12), writeProxyHeader(2, four).subarray(0, 14)];
  fc.assert(fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 300 }), (start, rest) => {
    const bytes = Buffer.concat([start, Buffer.from(rest)]);
    const read = readProxyHeader(bytes);
    if (read === 'more') assert.ok(bytes.length < 107 || bytes.length < 16 + bytes.readUInt16BE(14));
    if (typeof read === 'object' && 'length' in read) assert.ok(read.length <= bytes.length);
  }));
});
