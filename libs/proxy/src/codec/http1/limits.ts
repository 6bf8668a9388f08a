/** Size limits of one HTTP/1 parser; Envoy's defaults. */
export interface Http1Limits {
  /** Start line and fields with their line ends, in bytes. */
  readonly maxHeadBytes: number;
  /** Fields of a head, and again of a trailer section. */
  readonly maxFields: number;
}

export const defaultHttp1Limits: Http1Limits = { maxHeadBytes: 60 * 1024, maxFields: 100 };

/** Extensions of one chunk-size line; nobody uses them, so longer is an attack. */
export const maxChunkExtensionBytes = 4096;
