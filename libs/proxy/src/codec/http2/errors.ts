import type { CodecError } from '../http1/errors.ts';

/** Error codes on the wire, RFC 9113 §7. @hot */
export const Http2Error = {
  none: 0, protocol: 1, internal: 2, flowControl: 3, settingsTimeout: 4, streamClosed: 5, frameSize: 6, refusedStream: 7, cancel: 8, compression: 9, connect: 10,
  enhanceYourCalm: 11, inadequateSecurity: 12, http11Required: 13,
} as const;

const names = Object.keys(Http2Error);

/** "PROTOCOL_ERROR" and so on, for logs. */
export function http2ErrorName(code: number): string {
  const name = names[code];
  if (name === undefined) return `0x${code.toString(16)}`;
  if (name === 'none') return 'NO_ERROR';
  const upper = name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
  return ['protocol', 'internal', 'flowControl', 'frameSize', 'compression', 'connect'].includes(name) ? `${upper}_ERROR` : upper;
}

/** Why a stream or the connection was ended by us. `code` goes on the wire, `details` into the access log. */
export interface Http2CodecError extends CodecError {
  readonly code: number;
  /** The message breaks the rules of HTTP (RFC 9113 §8.1.1), not those of its frames. */
  readonly malformed: boolean;
}

const stream = (details: string, message: string, code: number = Http2Error.protocol): Http2CodecError => ({ status: 400, details, message, code, malformed: false });
const invalid = (rule: 'invalid.header.field' | 'violation.of.messaging.rule', message: string): Http2CodecError => ({ ...stream(`http2.${rule}`, message), malformed: true });
/** Envoy calls what ends a connection codec_error and adds the message. */
const connection = (message: string, code: number = Http2Error.protocol): Http2CodecError => ({ status: 400, details: `codec_error:${message.replaceAll(' ', '_')}`, message, code, malformed: false });
const flood = (message: string): Http2CodecError => connection(message, Http2Error.enhanceYourCalm);

/** Every reason for which a stream is reset. One object each: an error costs no allocation. */
export const http2StreamErrors = {
  badField: invalid('invalid.header.field', 'a field name or value holds a character that is not allowed, or the name upper-case letters'),
  connectionField: invalid('invalid.header.field', 'a field that belongs to an HTTP/1 connection'),
  badTe: invalid('invalid.header.field', 'te says something other than trailers'),
  badPseudo: invalid('violation.of.messaging.rule', 'a pseudo field is unknown, twice there, misplaced, or behind ordinary fields'),
  missingPseudo: invalid('violation.of.messaging.rule', 'a pseudo field is missing'),
  badMethod: invalid('violation.of.messaging.rule', ':method is no token'),
  badPath: invalid('violation.of.messaging.rule', ':path is empty or malformed'),
  badAuthority: invalid('violation.of.messaging.rule', ':authority or host holds a character that is not allowed, or they differ'),
  badStatus: invalid('violation.of.messaging.rule', ':status is not a number of three digits, or 101'),
  badContentLength: invalid('violation.of.messaging.rule', 'content-length is not one number, or not the length of the body'),
  connectRefused: stream('http2.violation.of.messaging.rule', 'CONNECT is not offered here'),
  badTrailers: invalid('violation.of.messaging.rule', 'trailers without END_STREAM, or with pseudo fields'),
  interimEnd: invalid('violation.of.messaging.rule', 'an interim response ends the stream, or no response came before the body'),
  tooManyHeaders: stream('http2.too_many_headers', 'the fields are larger or more than the limit', Http2Error.enhanceYourCalm),
  streamClosed: stream('http2.violation.of.messaging.rule', 'a frame on a stream that its sender has ended', Http2Error.streamClosed),
  streamWindow: stream('http2.violation.of.messaging.rule', 'more data than the window of the stream', Http2Error.flowControl),
  windowOverflow: stream('http2.violation.of.messaging.rule', 'a window beyond 2^31-1', Http2Error.flowControl),
  windowZero: stream('http2.violation.of.messaging.rule', 'a window update of zero'),
  refused: stream('http2.local_refused', 'more concurrent streams than allowed', Http2Error.refusedStream),
} as const;

/** Every reason for which a connection is ended. */
export const http2ConnectionErrors = {
  preface: connection('the connection preface is not that of HTTP/2'),
  firstFrame: connection('the first frame is not SETTINGS'),
  frameSize: connection('the length of a frame is not allowed', Http2Error.frameSize),
  streamId: connection('a frame on a stream on which it must not come'),
  padding: connection('more padding than payload'),
  continuation: connection('a field block is interrupted or continued out of place'),
  compression: connection('a field block cannot be decompressed', Http2Error.compression),
  idleStream: connection('a frame on a stream that was never opened'),
  closedStream: connection('fields on a stream that is over', Http2Error.streamClosed),
  push: connection('a push that was not allowed'),
  settings: connection('a setting has a value that is not allowed'),
  settingsWindow: connection('an initial window beyond its limit', Http2Error.flowControl),
  window: connection('more data than the window of the connection', Http2Error.flowControl),
  windowOverflow: connection('a connection window beyond its limit', Http2Error.flowControl),
  windowZero: connection('a connection window update of zero'),
  settingsTimeout: connection('SETTINGS were not acknowledged in time', Http2Error.settingsTimeout),
  pingTimeout: { ...connection('ping timeout', Http2Error.none), details: 'http2.ping_timeout' },
  outboundFlood: flood('Too many frames in the outbound queue.'),
  controlFlood: flood('Too many control frames in the outbound queue.'),
  emptyFlood: { ...flood('Too many consecutive frames with an empty payload'), details: 'http2.inbound_empty_frames_flood' },
  priorityFlood: flood('Too many PRIORITY frames'),
  windowUpdateFlood: flood('Too many WINDOW_UPDATE frames'),
  continuationFlood: flood('a field block larger or in more frames than the limit'),
  prematureResets: { ...flood('too many premature resets'), details: 'too_many_premature_resets' },
} as const;
