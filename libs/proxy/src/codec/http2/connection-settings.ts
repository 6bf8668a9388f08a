import { http2ConnectionErrors as errors, type Http2CodecError } from './errors.ts';
import { Setting, initialWindow, maxFrameBytes, maxWindow } from './frames.ts';
import type { HpackEncoder } from './hpack/encoder.ts';
import { settingsTimeoutMs, type Http2CodecOptions } from './options.ts';
import type { Http2Stream } from './stream-base.ts';

/** What a connection does about settings. */
export interface SettingsOwner {
  readonly streams: ReadonlyMap<number, Http2Stream>;
  /** The peer's SETTINGS_MAX_CONCURRENT_STREAMS. */
  maxConcurrent(value: number): void;
  /** The peer has not acknowledged ours in time. */
  unacknowledged(): void;
}

/** The settings of both ends that are in force (RFC 9113 §6.5). */
export class ConnectionSettings {
  /** Bytes the peer lets us send on a new stream. */
  peerInitialWindow: number = initialWindow;
  /** Bytes the peer may send on a new stream: ours once it has acknowledged them. */
  localInitialWindow: number = initialWindow;
  /** SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441). */
  peerAllowsConnect = false;
  readonly #owner: SettingsOwner;
  readonly #options: Http2CodecOptions;
  readonly #encoder: HpackEncoder;
  #cancelTimeout: (() => void) | null;

  constructor(owner: SettingsOwner, options: Http2CodecOptions, encoder: HpackEncoder) {
    this.#owner = owner;
    this.#options = options;
    this.#encoder = encoder;
    this.#cancelTimeout = options.after(settingsTimeoutMs, () => owner.unacknowledged());
  }

  /** One setting of the peer; returns what is wrong with it, or null. */
  take(id: number, value: number): Http2CodecError | null {
    switch (id) {
      case Setting.headerTableSize:
        this.#encoder.setPeerLimit(value);
        return null;
      case Setting.enablePush:
        return value > 1 ? errors.settings : null;
      case Setting.maxConcurrentStreams:
        this.#owner.maxConcurrent(value);
        return null;
      case Setting.initialWindowSize:
        return this.#peerWindow(value);
      case Setting.maxFrameSize:
        return value < maxFrameBytes || value > 0xff_ffff ? errors.settings : null;
      case Setting.enableConnectProtocol:
        // RFC 8441 §3: once offered it is not taken back.
        if (value > 1 || (this.peerAllowsConnect && value === 0)) return errors.settings;
        this.peerAllowsConnect = value === 1;
        return null;
      default:
        return null;
    }
  }

  /** RFC 9113 §6.9.2: the difference counts for every open stream. */
  #peerWindow(value: number): Http2CodecError | null {
    if (value > maxWindow) return errors.settingsWindow;
    const difference = value - this.peerInitialWindow;
    this.peerInitialWindow = value;
    for (const stream of this.#owner.streams.values()) {
      stream.sendWindow += difference;
      if (stream.sendWindow > maxWindow) return errors.settingsWindow;
    }
    return null;
  }

  /** The peer has ours: from now on they hold. */
  acknowledged(): void {
    if (this.#cancelTimeout === null) return;
    this.stop();
    const difference = this.#options.http2.initialStreamWindow - this.localInitialWindow;
    this.localInitialWindow += difference;
    for (const stream of this.#owner.streams.values()) stream.receiveWindow += difference;
  }

  /** Waits for no acknowledgement any more. */
  stop(): void {
    this.#cancelTimeout?.();
    this.#cancelTimeout = null;
  }
}
