import { ok } from '@meltemi/base';
import { unknownProcess } from '@meltemi/http';
import type { Extension, Extensions, HttpFilterExtension } from '@meltemi/snapshot';

/** A registry that knows everybody. */
class AllOf<T> extends Map<string, T> {
  readonly #make: (typeUrl: string) => T;

  constructor(make: (typeUrl: string) => T) {
    super();
    this.#make = make;
  }

  override has(): boolean {
    return true;
  }

  override get(typeUrl: string): T {
    return this.#make(typeUrl);
  }

  override *[Symbol.iterator](): MapIterator<[string, T]> {
    yield ['', this.#make('')];
  }
}

/**
 * Takes every filter's and logger's own config unread: for callers that have no proxy at hand (pilot never imports one). All that is not inside a filter
 * is compiled as a proxy does. Tools that have the proxy's registry hand that in instead.
 */
export const anyExtension: Extensions = {
  // A process of which nothing is known: formats may ask for what a real one knows.
  formats: unknownProcess,
  networkFilters: new AllOf((): Extension => ({ parse: () => ok(null) })),
  httpFilters: new AllOf((typeUrl): HttpFilterExtension => ({ parse: () => ok(null), terminal: typeUrl.endsWith('.router.v3.Router'), parseRoute: () => ok(null), routeTypeUrls: everyText() })),
  listenerFilters: new AllOf((): Extension => ({ parse: () => ok(null) })),
  accessLoggers: new AllOf((): Extension => ({ parse: () => ok(null) })),
  tracers: new AllOf((): Extension => ({ parse: () => ok(null) })),
  http2: true,
  autoTlsNames: true,
  proxyProtocol: true,
  readFile: () => ok(new Uint8Array(0)),
};

function everyText(): readonly string[] {
  return new (class extends Array<string> {
    override includes(): boolean {
      return true;
    }
  })();
}
