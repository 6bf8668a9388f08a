import type { Random } from '@meltemi/base';
import type { Http2Options } from '@meltemi/snapshot';
import type { Http2Stats } from './http2-stats.ts';

/** What a codec of either side needs. */
export interface Http2CodecOptions {
  readonly http2: Http2Options;
  /** Size of a field list (RFC 9113 §6.5.2: 32 bytes on top of each field) and number of its fields. */
  readonly limits: { readonly maxHeadBytes: number; readonly maxFields: number };
  /** Longest wait for the peer to close after our last byte. */
  readonly lingerMs: number;
  /** Longest wait between the two steps of a graceful GOAWAY; usually a round trip ends it. Default 1,000. */
  readonly drainNoticeMs?: number;
  /** Of a client: streams that it opens before the server has said how many it takes. Default, and at most, 100. */
  readonly streamsAtFirst?: number;
  readonly random: Random;
  /** Where the codec counts; left out, nowhere that is read. */
  readonly stats?: Http2Stats;
  /** Monotonic milliseconds, coarse will do. */
  now(): number;
  after(delayMs: number, task: () => void): () => void;
}

/** Longest wait for the peer to acknowledge our SETTINGS. */
export const settingsTimeoutMs = 30_000;

/** Until a server has sent its settings, at most this many streams are opened. */
export const streamsBeforeSettings = 100;
