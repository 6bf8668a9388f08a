import type { HeaderMap } from '@meltemi/http';
import type { Span, TraceContext } from './span.ts';

/** How contexts travel in headers. */
export interface Propagation {
  /** The caller's context; null without one; "invalid" for one that cannot be read. `decided`: sampled here, where the headers do not say. */
  extract(headers: HeaderMap, decided: boolean): TraceContext | null | 'invalid';
  /** What the headers say of sampling where they name no context; null when nothing. */
  sampled(headers: HeaderMap): boolean | null;
  inject(headers: HeaderMap, span: Span): void;
}

const zeros = /^0+$/;
const traceparent = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** traceparent and tracestate. Source: W3C Trace Context. */
export const w3c: Propagation = {
  extract(headers) {
    const text = headers.get('traceparent');
    if (text === null) return null;
    const [, version = 'ff', traceId = '', spanId = '', flags = '00', rest] = traceparent.exec(text) ?? [];
    // A later version may add fields; this one has four.
    if (version === 'ff' || (version === '00' && rest !== undefined) || zeros.test(traceId) || zeros.test(spanId)) return 'invalid';
    return { traceId, spanId, parentId: '', sampled: (Number.parseInt(flags, 16) & 1) === 1, traceState: headers.getAll('tracestate') ?? '' };
  },
  sampled: () => null,
  inject(headers, span) {
    headers.set('traceparent', `00-${span.traceId}-${span.spanId}-${span.sampled ? '01' : '00'}`);
    if (span.traceState !== '') headers.set('tracestate', span.traceState);
  },
};

const id64 = /^[0-9a-f]{1,16}$/i;
const traceId = /^[0-9a-f]{1,32}$/i;
const single = /^([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d]))?(?:-([0-9a-f]{16}))?$/i;

/** B3, in one header or several. Source: openzipkin/b3-propagation. */
export const b3: Propagation = {
  extract(headers, decided) {
    const one = headers.get('b3');
    if (one !== null && one.length > 1) return fromSingle(one, decided);
    const trace = headers.get('x-b3-traceid');
    const span = headers.get('x-b3-spanid');
    if (trace === null || span === null) return null;
    const parent = headers.get('x-b3-parentspanid') ?? '';
    if (!traceId.test(trace) || !id64.test(span) || (parent !== '' && !id64.test(parent))) return 'invalid';
    return { traceId: padded(trace, trace.length > 16 ? 32 : 16), spanId: padded(span, 16), parentId: parent === '' ? '' : padded(parent, 16), sampled: b3.sampled(headers) ?? decided, traceState: '' };
  },
  sampled(headers) {
    const one = headers.get('b3');
    if (one !== null && one.length === 1) return one === '0' ? false : one === '1' || one === 'd' ? true : null;
    if (headers.get('x-b3-flags') === '1') return true;
    const text = headers.get('x-b3-sampled');
    return text === null ? null : text === '1' || text === 'true';
  },
  inject(headers, span) {
    // Deviation: Envoy leaves a caller's single header as it was, and the next hop would take the caller for its parent.
    if (headers.has('b3')) headers.set('b3', `${span.traceId}-${span.spanId}-${span.sampled ? '1' : '0'}${span.parentId === '' ? '' : `-${span.parentId}`}`);
    headers.set('x-b3-traceid', span.traceId);
    headers.set('x-b3-spanid', span.spanId);
    if (span.parentId === '') headers.remove('x-b3-parentspanid');
    else headers.set('x-b3-parentspanid', span.parentId);
    headers.set('x-b3-sampled', span.sampled ? '1' : '0');
  },
};

function fromSingle(text: string, decided: boolean): TraceContext | 'invalid' {
  const [whole, trace = '', span = '', sampled, parent = ''] = single.exec(text) ?? [];
  if (whole === undefined) return 'invalid';
  return { traceId: trace.toLowerCase(), spanId: span.toLowerCase(), parentId: parent.toLowerCase(), sampled: sampled === undefined ? decided : sampled !== '0', traceState: '' };
}

function padded(hex: string, digits: number): string {
  return hex.toLowerCase().padStart(digits, '0');
}
