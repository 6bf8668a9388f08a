import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend } from '../testing/backend.ts';
import { bootstrap, cluster, httpListener, route } from '../testing/bootstrap.ts';
import { RawConnection, request } from '../testing/client.ts';
import { processorSeconds, startProxy, type RunningProxy } from '../testing/proxy-process.ts';

const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
const descriptors = 160;

const open = (proxy: RunningProxy) => readdirSync(`/proc/${proxy.pid}/fd`).length;
const stat = async (proxy: RunningProxy, name: string) => Number(/: (\d+)/.exec((await request(proxy.port('admin'), { path: `/stats?filter=${name}$` })).body)?.[1] ?? 0);

/** More connections than the proxy can have; those that were turned away show as closed. */
async function crowd(t: TestContext, proxy: RunningProxy, count: number): Promise<RawConnection[]> {
  const all = Array.from({ length: count }, () => new RawConnection(proxy.port('web')));
  t.after(() => { for (const one of all) one.destroy(); });
  await waitFor('every connection to be taken or turned away', async () => {
    const gone = all.filter(({ closed }) => closed).length;
    return gone > 0 && gone + await stat(proxy, 'http.web.downstream_cx_active') === count;
  });
  return all;
}

for (const workers of [1, 2])
  test(`more connections than descriptors, ${workers} worker(s): it goes on serving those it has, says so, idles, and takes new ones when some are free`, async (t) => {
    const app = await backend('app');
    t.after(() => app.stop());
    await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')] })], [cluster('app', [app.port])]), { descriptors, args: ['--concurrency', String(workers)] });
    const all = await crowd(t, proxy, 400);
    const kept = all.filter(({ closed }) => !closed);
    assert.ok(kept.length > 20, `${kept.length} of them kept`);
    assert.ok(open(proxy) < descriptors - 16, 'some are kept for upstreams and the admin port');
    assert.match(proxy.err(), /file descriptors/);
    assert.ok(await stat(proxy, 'listener.*downstream_cx_no_descriptor') > 0);
    const before = processorSeconds(proxy.pid);
    await sleep(2000);
    assert.ok(processorSeconds(proxy.pid) - before < 0.6, 'it spins');
    await kept[0]?.send(get).until(/200 OK/);
    for (const one of kept.slice(0, kept.length / 2)) one.destroy();
    await waitFor('a new connection to be served', () => request(proxy.port('web')).then(({ status }) => status === 200, () => false));
    await waitFor('the log to say that it is over', () => /file descriptors are free again/.test(proxy.err()));
    assert.equal((await proxy.stop()).code, 0);
  });

for (const workers of [1, 2])
  test(`every connection asks at once and the descriptors do not suffice for upstreams, ${workers} worker(s): 503, no death, no spin, and all is well afterwards`, async (t) => {
    const waiting: (() => void)[] = [];
    let holds = true;
    const app = await backend('app', (_request, response) => {
      if (holds) waiting.push(() => response.end('done'));
      else response.end('at once');
    });
    t.after(() => app.stop());
    const limits = { circuit_breakers: { thresholds: [{ max_connections: 10_000, max_requests: 10_000, max_pending_requests: 10_000 }] } };
    await using proxy = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, { cluster: 'app', timeout: '0s' })] })], [cluster('app', [app.port], limits)]), { descriptors, args: ['--concurrency', String(workers)] });
    const kept = (await crowd(t, proxy, 400)).filter(({ closed }) => !closed);
    for (const one of kept) one.send(get);
    await waitFor('some to be refused, the others to wait', () => kept.filter(({ text }) => text.startsWith('HTTP/1.1 503')).length + waiting.length === kept.length);
    assert.ok(waiting.length > 0 && waiting.length < kept.length, `${waiting.length} of ${kept.length} wait`);
    const more = Array.from({ length: 50 }, () => new RawConnection(proxy.port('web')));
    t.after(() => { for (const one of more) one.destroy(); });
    const before = processorSeconds(proxy.pid);
    await sleep(2000);
    assert.ok(processorSeconds(proxy.pid) - before < 0.6, 'it spins');
    for (const answer of waiting) answer();
    await waitFor('the others to be answered', () => kept.every(({ text }) => /^HTTP\/1\.1 (200|503)/.test(text)));
    for (const one of [...kept, ...more]) one.destroy();
    holds = false;
    await waitFor('a new connection to be served', () => request(proxy.port('web')).then(({ body }) => body === 'at once', () => false));
    assert.equal((await proxy.stop()).code, 0);
  });
