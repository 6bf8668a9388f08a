import type { HeaderMap, ResponseHead } from '@meltemi/http';
import type { HcmConfig } from '@meltemi/snapshot';
import type { ActiveStream } from './active-stream.ts';
import type { HttpConnectionManager } from './connection-manager.ts';
import { appendVia } from './via.ts';

/** The connection manager's own response fields: server, date, via, request id. @hot */
export function prepareResponse(manager: HttpConnectionManager, stream: ActiveStream, head: ResponseHead): void {
  const { config } = manager;
  stream.trace?.onResponse(head);
  // Who has the connection by now says so, not the chain that this request was left with.
  if (stream.session.manager.closesConnection) stream.session.drain(false);
  setServerAndDate(config, manager.deps.httpDate(), head.headers);
  if (config.via !== '') appendVia(head.headers, config.via);
  if ((config.alwaysSetRequestIdInResponse || stream.tellsRequestId) && stream.info.requestId !== null) head.headers.set('x-request-id', stream.info.requestId);
}

/** One walk over the fields. @hot */
export function setServerAndDate(config: HcmConfig, now: string, headers: HeaderMap): void {
  const flat = headers.flat;
  let server = -1;
  let date = false;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i];
    if (name === 'server') server = i;
    else if (name === 'date') date = true;
  }
  if (config.serverHeader === 'overwrite' && server >= 0) flat[server + 1] = config.serverName;
  else if (server < 0 && config.serverHeader !== 'pass-through') flat.push('server', config.serverName);
  if (!date) flat.push('date', now);
}
