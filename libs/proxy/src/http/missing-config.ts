import { ResponseFlag } from '@meltemi/http';
import { FilterEvents, FilterStatus, HttpTerminalFilter, type HttpFilterConfig, type LocalReply, type StreamControls } from '../filter.ts';

const noConfig: LocalReply = { status: 500, body: '', details: '', flags: ResponseFlag.NFCF };

/** Stands where a filter should whose config has not come: nothing gets past it. As in Envoy requests get 500, flag NFCF. */
class MissingConfig extends HttpTerminalFilter {
  override decodeHead(stream: StreamControls): number {
    stream.sendLocalReply(noConfig);
    return FilterStatus.stopIteration;
  }
}

const missing = new MissingConfig();

/** For filters of ECDS without a default config. */
export const missingConfig: HttpFilterConfig = { events: FilterEvents.decodeHead, create: () => missing };
