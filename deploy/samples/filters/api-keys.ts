// A filter of one's own: lets requests through that bring a known key, and says whose it is. apps/docs/guides/your-own-filter.md explains it.
import { fail, FilterEvents, FilterStatus, HttpStreamFilter, ok } from '@meltemi/proxy/filter';
import type { HttpFilterModule, RequestHead, StreamControls } from '@meltemi/proxy/filter';

interface Settings {
  /** Field that carries the key, in lower case. */
  readonly header: string;
  /** Key → whose it is. */
  readonly keys: ReadonlyMap<string, string>;
}

/** What a route may say: `public: true` asks for no key. */
interface RouteSettings {
  readonly public: boolean;
}

export default {
  name: 'api-keys',

  // Cold: once per config. What is wrong here is refused by name, and the last good config stays.
  parse({ header = 'x-api-key', keys = {}, ...unknown }) {
    const [surplus] = Object.keys(unknown);
    if (surplus !== undefined) return fail(surplus, 'is no setting of api-keys: there are header and keys');
    if (typeof header !== 'string' || !/^[a-z0-9-]+$/.test(header)) return fail('header', 'must be a field name in lower case');
    if (typeof keys !== 'object' || keys === null) return fail('keys', 'must be a map from key to owner');
    return ok({ header, keys: new Map(Object.entries(keys).map(([key, owner]) => [key, String(owner)])) } satisfies Settings);
  },

  parseRoute(settings) {
    return typeof settings['public'] === 'boolean' ? ok({ public: settings['public'] } satisfies RouteSettings) : fail('public', 'must be true or false');
  },

  bind(config, { stats, hcm, filterName }) {
    const settings = config as Settings;
    const denied = stats.counter(`http.${hcm.statPrefix}.api_keys.denied`);
    // One object serves all streams: it keeps nothing between calls.
    const check = new CheckKey(settings, () => denied.inc());
    return {
      events: FilterEvents.decodeHead,
      create: (stream) => ((stream.perRoute(filterName) as RouteSettings | null)?.public === true ? null : check),
    };
  },
} satisfies HttpFilterModule;

class CheckKey extends HttpStreamFilter {
  readonly #settings: Settings;
  readonly #denied: () => void;

  constructor(settings: Settings, denied: () => void) {
    super();
    this.#settings = settings;
    this.#denied = denied;
  }

  // Hot: for every request.
  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const { header, keys } = this.#settings;
    const owner = keys.get(head.headers.get(header) ?? '');
    // Nobody names themselves.
    head.headers.remove('x-key-owner');
    if (owner === undefined) {
      this.#denied();
      stream.sendLocalReply({ status: 401, body: 'a known key is needed\n', details: 'api_keys_unknown' });
      return FilterStatus.stopIteration;
    }
    head.headers.remove(header);
    head.headers.set('x-key-owner', owner);
    return FilterStatus.continue;
  }
}
