/** Why a message could not be read. `status` is what a server answers before it closes; `details` goes to the access log. */
export interface CodecError {
  readonly status: number;
  readonly details: string;
  readonly message: string;
}

const error = (status: number, details: string, message: string): CodecError => ({ status, details, message });

/** Every reason the HTTP/1 parser refuses a message for. One object each: an error costs no allocation. */
export const codecErrors = {
  badCharacter: error(400, 'http1.codec_error', 'a control character in the head, or a CR or LF apart from the other'),
  badStartLine: error(400, 'http1.codec_error', 'the start line is malformed'),
  badTarget: error(400, 'http1.invalid_url', 'the request target is malformed'),
  badVersion: error(505, 'http1.unsupported_version', 'only HTTP/1.0 and HTTP/1.1 are spoken here'),
  http2Preface: error(505, 'http1.http2_preface', 'the client speaks HTTP/2 on an HTTP/1.1 listener'),
  badFieldName: error(400, 'http1.codec_error', 'a field name is empty, folded, or holds a character that is not allowed'),
  headTooLarge: error(431, 'http1.headers_too_large', 'the head is larger than the limit'),
  tooManyFields: error(431, 'http1.too_many_headers', 'more fields than the limit'),
  trailersTooLarge: error(431, 'http1.trailers_too_large', 'the trailer section is larger than the limit'),
  tooManyTrailers: error(431, 'http1.too_many_trailers', 'more trailer fields than the limit'),
  missingHost: error(400, 'missing_host_header', 'an HTTP/1.1 request without Host'),
  duplicateHost: error(400, 'http1.codec_error', 'more than one Host'),
  badHost: error(400, 'http1.invalid_host', 'Host holds a character that is not allowed'),
  badContentLength: error(400, 'http1.invalid_content_length', 'Content-Length is not one number'),
  lengthAndChunked: error(400, 'http1.content_length_and_chunked_not_allowed', 'both Content-Length and Transfer-Encoding'),
  badTransferEncoding: error(501, 'http1.invalid_transfer_encoding', 'a transfer coding other than chunked'),
  chunkedIn10: error(400, 'http1.transfer_encoding_not_allowed', 'Transfer-Encoding in an HTTP/1.0 message'),
  badConnection: error(400, 'http1.connection_header_rejected', 'Connection names a field that says who sent the message, or too many fields'),
  badChunk: error(400, 'http1.codec_error', 'a chunk size, its line end or its extension is malformed'),
  badTrailers: error(400, 'http1.codec_error', 'the trailer section is malformed'),
  connectBody: error(400, 'http1.body_disallowed', 'CONNECT with Content-Length or Transfer-Encoding'),
  bodylessLength: error(400, 'http1.content_length_not_allowed', 'Content-Length in a response that has no body'),
  bodylessChunked: error(400, 'http1.transfer_encoding_not_allowed', 'Transfer-Encoding in a response that has no body'),
  interimFlood: error(400, 'http1.codec_error', 'more interim responses than one request may have'),
  badAccept: error(400, 'http1.websocket_accept', 'a switch to WebSocket without proof that the key was understood'),
  unasked101: error(400, 'http1.codec_error', 'a switch of protocols that nobody asked for'),
  earlyEnd: error(400, 'http1.truncated', 'the connection ended in the middle of a message'),
} as const;
