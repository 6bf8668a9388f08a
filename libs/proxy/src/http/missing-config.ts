import { ResponseFlag } from '@meltemi/http';
import { FilterEvents, FilterStatus, HttpTerminalFilter, type HttpFilterConfig, type LocalReply, type StreamControls } from '../filter.ts';

const noConfig: LocalReply = { status: 500, body: '', details: '', flags: ResponseFlag.NFCF };

const noFilters: LocalReply = { status: 404, body: '', details: 'no_router' };

/** Nothing gets past it. */
class Answering extends HttpTerminalFilter {
  readonly #reply: LocalReply;

  constructor(reply: LocalReply) {
    super();
    this.#reply = reply;
  }

  override decodeHead(stream: StreamControls): number {
    stream.sendLocalReply(this.#reply);
    return FilterStatus.stopIteration;
  }
}

function answering(reply: LocalReply): HttpFilterConfig {
  const filter = new Answering(reply);
  return { events: FilterEvents.decodeHead, create: () => filter };
}

/** Stands where a filter of ECDS should that has no config, nor a default one. As in Envoy requests get 500, flag NFCF. */
export const missingConfig = answering(noConfig);

/** For a connection manager without filters. Deviation: Envoy lets such requests wait until they time out. */
export const noRouter = answering(noFilters);
