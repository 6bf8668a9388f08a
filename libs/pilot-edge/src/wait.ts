import type { ProxyLag, WaitProgress } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { ProxyLag_State } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { shortTypeName } from '@meltemi/xds';
import type { ConfigCache } from './config-cache.ts';
import type { Client, Discovery } from './discovery.ts';

/** Tells how far the proxies are with a store version until all follow, one refuses, or the signal ends it. The last message is `done` or has `timedOut`. */
export async function* waitForRevision(parts: { cache: ConfigCache; discovery: Discovery }, storeVersion: string, signal: AbortSignal): AsyncGenerator<WaitProgress> {
  const { cache, discovery } = parts;
  try {
    await cache.processed(storeVersion, signal);
  } catch {
    yield { done: false, affected: 0, following: 0, laggards: [{ proxyId: 'pilot', state: ProxyLag_State.LAGGING, detail: 'this pilot has not seen the write yet' }], timedOut: true };
    return;
  }
  const revision = discovery.settle();
  for (;;) {
    const behind = discovery.behind(revision);
    const affected = discovery.clients().length;
    const laggards = behind.map(lag);
    const timedOut = signal.aborted;
    const done = behind.length === 0;
    yield { done, affected, following: affected - behind.length, laggards, timedOut: timedOut && !done };
    if (done || timedOut || (laggards.length > 0 && laggards.every((each) => each.state === ProxyLag_State.REFUSED))) return;
    await nextProgress(discovery, signal);
  }
}

/** Who holds it up: a refusal with the proxy's words, else the type whose acknowledgement is awaited. */
function lag(client: Client): ProxyLag {
  const types = client.connection.status();
  const refused = types.find((type) => type.lastNack !== undefined);
  if (refused?.lastNack) return { proxyId: client.proxy.name, state: ProxyLag_State.REFUSED, detail: `${shortTypeName(refused.typeUrl)} ${refused.lastNack.resources.join(', ')}: ${refused.lastNack.message}` };
  const waiting = types.filter((type) => type.state !== 'SYNCED').map((type) => shortTypeName(type.typeUrl));
  return { proxyId: client.proxy.name, state: ProxyLag_State.LAGGING, detail: waiting.length > 0 ? `has not acknowledged ${waiting.join(', ')}` : 'has not been pushed to yet' };
}

function nextProgress(discovery: Discovery, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const stop = discovery.onProgress(done);
    function done(): void {
      stop();
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
