import { readStrictly } from '../strict-reader.ts';
import { routeToApp, Served, type ServedOptions } from '../served.ts';
import type { BackendRequest } from '../backend.ts';
import type { Draw } from './draw.ts';
import { http1Request } from './http1-targets.ts';
import { same, type FuzzTarget } from './target.ts';

const setups: readonly ServedOptions[] = [
  {},
  { hcm: { normalizePath: true, mergeSlashes: true, upgradeConfigs: [{ upgradeType: 'websocket' }, { upgradeType: 'CONNECT' }], httpProtocolOptions: { acceptHttp10: true, defaultHostForHttp10: 'a', enableTrailers: true } } },
  { hcm: { proxy100Continue: true, httpProtocolOptions: { headerKeyFormat: { properCaseWords: {} } }, commonHttpProtocolOptions: { headersWithUnderscoresAction: 'DROP_HEADER', maxHeadersCount: 12 } }, routes: [{ match: { prefix: '/after' }, directResponse: { status: 200, body: { inlineString: 'here' } } }, routeToApp()] },
];
let served: Served[] | null = null;

/** Proxies are built once and serve all inputs; each input is a connection of its own. */
function proxies(): Served[] {
  return (served ??= setups.map((setup) => new Served(setup)));
}

/** Everything between client and host, in memory: random bytes in random pieces, a host that answers, half answers, or gives up. */
export const httpPath: FuzzTarget = {
  name: 'http-path',
  about: 'connection manager, filters and router between random bytes and a random host: no bug, no request that the client did not send, answers in order',
  seeds: http1Request.seeds,
  words: http1Request.words,
  check(input, draw) {
    const all = proxies();
    const proxy = draw.pick(all);
    proxy.backend.requests.length = 0;
    proxy.bugs.length = 0;
    proxy.done.length = 0;
    const { wire } = proxy.connect();
    for (let at = 0; at < input.length && !wire.closed; ) {
      const end = Math.min(input.length, at + 1 + draw.below(draw.below(3) === 0 ? 4 : 400));
      wire.receive(input.toString('latin1', at, end));
      at = end;
      answer(proxy.backend.requests, draw);
    }
    for (let i = 0; i < 4 && !wire.closed; i++) answer(proxy.backend.requests, draw, true);
    judge(proxy, input.toString('latin1'), wire.sent);
    wire.sink.onEnd();
    wire.destroy();
    proxy.clock.advance(10);
    if (proxy.manager.sessions.size > 0) throw new Error('the connection is gone and its session is not');
    if (proxy.bugs.length > 0) throw new Error('a bug was reported', { cause: proxy.bugs[0] });
  },
};

const answered = new WeakSet<BackendRequest>();

function answer(requests: readonly BackendRequest[], draw: Draw, all = false): void {
  for (const request of requests) {
    if (request.wasReset || answered.has(request) || (!all && draw.below(3) > 0)) continue;
    answered.add(request);
    const status = draw.pick([200, 200, 200, 204, 304, 404, 500, 101]);
    if (draw.below(8) === 0) request.break();
    else if (status === 204 || status === 304) request.empty(status);
    else if (status === 101 ? request.head.upgrade !== 'websocket' : draw.below(8) === 0) request.begin(200);
    else request.respond(status, draw.below(2) === 0 ? ['content-length', '2'] : [], 'ok');
  }
}

function judge(proxy: Served, input: string, sent: string): void {
  if (proxy.bugs.length > 0) throw new Error('a bug was reported', { cause: proxy.bugs[0] });
  const meant = readStrictly(input);
  const { requests } = proxy.backend;
  if (requests.length > meant.length) throw new Error(`the host got ${requests.length} requests, the client sent ${meant.length}`);
  for (const request of requests) {
    const as = meant.find((each) => each.method === request.head.method && (request.head.upgrade !== '' || (request.ended && each.complete ? each.body === request.body : each.body.startsWith(request.body))));
    if (as === undefined) throw new Error(`the host got ${request.head.method} ${request.head.path} with ${JSON.stringify(request.body)}, which the client did not send`);
  }
  const finals = sent.match(/^HTTP\/1\.1 [2-5]\d\d /gm)?.length ?? 0;
  if (finals > meant.length + 1) throw new Error(`${finals} answers to ${meant.length} requests`);
  if (sent !== '' && !sent.startsWith('HTTP/1.1 ')) same('the answer does not begin as one', sent.slice(0, 40), 'HTTP/1.1 ');
}
