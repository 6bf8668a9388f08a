/** Size limits of one HTTP/1 parser; Envoy's defaults. */
export interface Http1Limits {
  /** Start line and fields with their line ends, in bytes. */
  readonly maxHeadBytes: number;
  /** Fields of a head, and again of a trailer section. */
  readonly maxFields: number;
}

export const defaultHttp1Limits: Http1Limits = { maxHeadBytes: 60 * 1024, maxFields: 100 };

/** How one side of a connection reads HTTP/1, as http_protocol_options say. Everything is off unless said. */
export interface Http1ParserRules {
  readonly limits?: Http1Limits;
  /** Tell of trailers; else they are read, checked and dropped. */
  readonly enableTrailers?: boolean;
  /** Content-Length beside Transfer-Encoding is dropped instead of refused; the connection ends with that message (RFC 9112 §6.3). */
  readonly allowChunkedLength?: boolean;
  /** Keep how names were spelled, for peers that insist on it. */
  readonly preserveCase?: boolean;
  /** With preserveCase: names that only we add go out as Proper-Case-Words. */
  readonly properCaseOwn?: boolean;
}

/** Interim responses before one final response; more is a flood. */
export const maxInterimResponses = 64;

/** As many fields, or more, `Connection` may not name: as in Envoy. */
export const maxNominated = 10;

/** Extensions of all chunk-size lines of one message; nobody uses them, so more is an attack: four kilobytes to read for each byte of body. */
export const maxChunkExtensionBytes = 16 * 1024;
