import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeaderMap } from '@meltemi/http';
import { b3, w3c } from './propagation.ts';
import { Span, type TraceContext } from './span.ts';

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const span = '00f067aa0ba902b7';
const fields = { name: 'x', kind: 'client', shared: false, startUs: 0 } as const;

test('traceparent is read as W3C writes it, and what is broken is said to be so', () => {
  for (const [text, expected] of [
    [`00-${trace}-${span}-01`, true], [`00-${trace}-${span}-00`, false], [`00-${trace}-${span}-03`, true], [`cc-${trace}-${span}-01-later`, true],
    [`00-${trace}-${span}-01-more`, 'invalid'], [`ff-${trace}-${span}-01`, 'invalid'], [`00-${'0'.repeat(32)}-${span}-01`, 'invalid'], [`00-${trace}-${'0'.repeat(16)}-01`, 'invalid'],
    [`00-${trace.toUpperCase()}-${span}-01`, 'invalid'], [`00-${trace}-${span}`, 'invalid'], ['', 'invalid'],
  ] as const) {
    const found = w3c.extract(new HeaderMap(['traceparent', text, 'tracestate', 'a=1', 'tracestate', 'b=2']), false);
    if (expected === 'invalid') assert.equal(found, 'invalid', text);
    else assert.deepEqual(found, { traceId: trace, spanId: span, parentId: '', sampled: expected, traceState: 'a=1,b=2' }, text);
  }
  assert.equal(w3c.extract(new HeaderMap(), true), null);
});

test('B3 is read from one header or several; what says nothing of sampling leaves the decision', () => {
  for (const [headers, decided, expected] of [
    [['b3', `${trace}-${span}-1-05e3ac9a4f6e3b90`], false, { traceId: trace, spanId: span, parentId: '05e3ac9a4f6e3b90', sampled: true, traceState: '' }],
    [['b3', `${trace}-${span}-d`], false, { traceId: trace, spanId: span, parentId: '', sampled: true, traceState: '' }],
    [['b3', `${span}-${span}`], true, { traceId: span, spanId: span, parentId: '', sampled: true, traceState: '' }],
    [['x-b3-traceid', trace, 'x-b3-spanid', 'A1', 'x-b3-sampled', '0'], true, { traceId: trace, spanId: '00000000000000a1', parentId: '', sampled: false, traceState: '' }],
    [['x-b3-traceid', trace, 'x-b3-spanid', span, 'x-b3-flags', '1'], false, { traceId: trace, spanId: span, parentId: '', sampled: true, traceState: '' }],
    [['x-b3-traceid', 'zz', 'x-b3-spanid', span], true, 'invalid'], [['b3', `${trace}-${span}-2`], true, 'invalid'], [['x-b3-traceid', trace], true, null], [['b3', '0'], true, null],
  ] as const) assert.deepEqual(b3.extract(new HeaderMap([...headers]), decided), expected, headers.join(' '));
  assert.equal(b3.sampled(new HeaderMap(['b3', '0'])), false);
  assert.equal(b3.sampled(new HeaderMap(['x-b3-sampled', 'true'])), true);
});

const hex = (digits: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`)).filter((text) => !/^0+$/.test(text));
const contexts: fc.Arbitrary<TraceContext> = fc.record({ traceId: hex(32), spanId: hex(16), parentId: fc.option(hex(16), { nil: '' }), sampled: fc.boolean(), traceState: fc.constantFrom('', 'vendor=1,other=2') });

test('what is injected is extracted again', () => {
  fc.assert(fc.property(contexts, fc.boolean(), (context, single) => {
    const headers = new HeaderMap(single ? ['b3', '1'] : []);
    const made = new Span(context, fields);
    w3c.inject(headers, made);
    b3.inject(headers, made);
    assert.deepEqual(w3c.extract(headers, false), { ...context, parentId: '' });
    assert.deepEqual(b3.extract(headers, false), { ...context, traceState: '' });
  }));
});

test('no header makes extraction throw', () => {
  const piece = fc.constantFrom('0', '00', trace, span, '-', 'd', '1', 'zz', ' ', 'é');
  fc.assert(fc.property(fc.constantFrom('b3', 'traceparent', 'x-b3-traceid', 'x-b3-spanid'), fc.array(piece, { maxLength: 9 }), (name, pieces) => {
    const headers = new HeaderMap([name, pieces.join(''), 'x-b3-spanid', span, 'x-b3-traceid', trace]);
    for (const propagation of [w3c, b3]) assert.doesNotThrow(() => propagation.extract(headers, true));
  }));
});
