import type { ResponseHead } from '@meltemi/http';
import type { ActiveStream } from './active-stream.ts';
import type { HttpConnectionManager } from './connection-manager.ts';

/** The connection manager's own response fields: server, date, via, request id. @hot */
export function prepareResponse(manager: HttpConnectionManager, stream: ActiveStream, head: ResponseHead): void {
  const { config } = manager;
  const flat = head.headers.flat;
  let server = -1;
  let date = false;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i];
    if (name === 'server') server = i;
    else if (name === 'date') date = true;
  }
  if (config.serverHeader === 'overwrite' && server >= 0) flat[server + 1] = config.serverName;
  else if (server < 0 && config.serverHeader !== 'pass-through') flat.push('server', config.serverName);
  if (!date) flat.push('date', manager.deps.httpDate());
  if (config.via !== '') flat.push('via', config.via);
  if (config.alwaysSetRequestIdInResponse && stream.info.requestId !== null) head.headers.set('x-request-id', stream.info.requestId);
}
