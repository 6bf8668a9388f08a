import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { waitFor } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { cluster, httpListener, route } from './testing/bootstrap.ts';
import { temporaryFolder } from './testing/proxy-process.ts';
import { SnapshotServer } from './testing/snapshot-server.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const pilot = new SnapshotServer();
before(() => pilot.start());
after(() => pilot.stop());

const names = (version: string, table: Record<string, object>) => ({
  [xdsType.cluster]: { version: '1', resources: { app: cluster('app', [1]) } }, [xdsType.listener]: { version: '1', resources: { out: httpListener({ name: 'out', routes: [route({ prefix: '/' }, { cluster: 'app' })] }) } },
  [xdsType.nameTable]: { version, resources: { '': { table } } },
});
const web = { ips: ['240.240.0.1', '2001:2::1'], registry: 'External' };
const reviews = { ips: ['10.96.0.1'], registry: 'Kubernetes', shortname: 'reviews', namespace: 'default' };

/** A mesh proxy as its agent starts it. */
async function meshProxy(node: string, env: Record<string, string>, args: readonly string[] = []) {
  const dir = temporaryFolder();
  const portsFile = join(dir, 'ports.json');
  writeFileSync(join(dir, 'resolv.conf'), 'nameserver 127.0.0.1\nsearch default.svc.cluster.local\n');
  const child = spawn(process.execPath, [main, '--service-node', node, '--discovery-address', `127.0.0.1:${pilot.port}`, '--discovery-plaintext', '--resolv-conf', join(dir, 'resolv.conf'), '--dns-forward-timeout', '300ms',
    '--admin-port', '0', '--health-port', '0', '--prometheus-port', '0', '--ports-file', portsFile, ...args], { env: { PATH: process.env['PATH'], DNS_PROXY_ADDR: '127.0.0.1:0', ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()));
  await waitFor('the proxy', () => existsSync(portsFile) || child.exitCode !== null, { deadlineMs: 60_000 });
  if (child.exitCode !== null) throw new Error(text);
  const { ports } = JSON.parse(readFileSync(portsFile, 'utf8')) as { ports: Record<string, number | undefined> };
  const page = async (name: string, path: string) => fetch(`http://127.0.0.1:${ports[name]}${path}`);
  return { ports, page, text: () => text, async [Symbol.asyncDispose]() {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    rmSync(dir, { recursive: true, force: true });
  } };
}

test('a sidecar with DNS_CAPTURE answers names of the table pilot sends, whatever number of workers it has', async () => {
  const node = 'sidecar~127.0.0.1~a-0.default~default.svc.cluster.local';
  pilot.set(node, names('1', { 'web.example.com': web, 'reviews.default.svc.cluster.local': reviews }));
  await using proxy = await meshProxy(node, { ISTIO_META_DNS_CAPTURE: 'true' }, ['--concurrency', '2']);
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`127.0.0.1:${proxy.ports['dns']}`]);
  await waitFor('readiness', async () => (await proxy.page('health', '/healthz/ready')).ok, { deadlineMs: 20_000 });
  assert.deepEqual([await resolver.resolve4('web.example.com'), await resolver.resolve6('web.example.com'), await resolver.resolve4('reviews')], [['240.240.0.1'], ['2001:2::1'], ['10.96.0.1']]);
  await assert.rejects(resolver.resolve6('reviews'), { code: 'ENODATA' });
  await assert.rejects(resolver.resolve4('nobody.example.com'), { code: /ESERVFAIL|EREFUSED/ }, 'nobody listens at the name server');
  pilot.set(node, names('2', { 'web.example.com': { ...web, ips: ['240.240.0.2'] } }));
  await waitFor('the new table', async () => (await resolver.resolve4('web.example.com'))[0] === '240.240.0.2');
  assert.deepEqual(await (await proxy.page('admin', '/debug/ndsz')).json(), { table: { 'web.example.com': { ips: ['240.240.0.2'], registry: 'External', shortname: '', namespace: '', altHosts: [] } } });
  const metrics = await (await proxy.page('prometheus', '/stats/prometheus')).text();
  for (const metric of ['requests_total', 'upstream_requests_total', 'upstream_failures_total', 'upstream_request_duration_seconds_count']) assert.match(metrics, new RegExp(`^istio_agent_dns_${metric} [1-9]`, 'm'));
});

test('a sidecar that is to answer names is not ready before it has any', async () => {
  const node = 'sidecar~127.0.0.1~b-0.default~default.svc.cluster.local';
  const { [xdsType.nameTable]: table, ...rest } = names('1', { 'web.example.com': web });
  pilot.set(node, rest);
  const asked = pilot.asked.length;
  await using proxy = await meshProxy(node, { ISTIO_META_DNS_CAPTURE: 'true' });
  await waitFor('all else', () => pilot.asked.slice(asked).some((each) => each.typeUrl === xdsType.listener && each.nonce !== ''), { deadlineMs: 20_000 });
  assert.equal((await proxy.page('health', '/healthz/ready')).status, 503);
  assert.ok(table);
  pilot.set(node, { ...rest, [xdsType.nameTable]: table });
  await waitFor('readiness', async () => (await proxy.page('health', '/healthz/ready')).ok, { deadlineMs: 20_000 });
});

test('without DNS_CAPTURE, and on gateways, there is no DNS server and no table is asked for', async () => {
  for (const [node, env] of [['sidecar~127.0.0.1~c-0.default~default.svc.cluster.local', {}], ['router~127.0.0.1~d-0.default~default.svc.cluster.local', { ISTIO_META_DNS_CAPTURE: 'true' }]] as const) {
    pilot.set(node, names('1', {}));
    await using proxy = await meshProxy(node, env);
    await waitFor('readiness', async () => (await proxy.page('health', '/healthz/ready')).ok, { deadlineMs: 20_000 });
    assert.equal(proxy.ports['dns'], undefined);
    assert.equal((await proxy.page('admin', '/debug/ndsz')).status, 404);
    assert.ok(!pilot.asked.some((each) => each.typeUrl === xdsType.nameTable && each.nodeId === node));
  }
  // the node goes with a stream's first request only: tables were asked for by the other two
  assert.equal(pilot.asked.filter((each) => each.typeUrl === xdsType.nameTable && each.nonce === '').length, 2);
});
