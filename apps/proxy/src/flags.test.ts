import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stringify } from 'yaml';
import { waitFor } from '@meltemi/base';
import { backend, type Backend } from './testing/backend.ts';
import { anyPort, bootstrap, cluster, filter, httpListener, route, type Json, typeOf } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { runToEnd, startProxy, temporaryFolder, writeBootstrap } from './testing/proxy-process.ts';

let dir: string;
let app: Backend;

before(async () => {
  dir = temporaryFolder();
  app = await backend('app');
});
after(async () => {
  await app.stop();
  rmSync(dir, { recursive: true, force: true });
});

const simple = (more: Json = {}) => bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')] })], [cluster('app', [app.port])], more);

/** Runs --mode validate over this bootstrap. */
function validate(config: unknown, yaml = false) {
  return runToEnd(['--mode', 'validate', '-c', writeBootstrap(dir, config, yaml)]);
}

test('--mode validate says OK on standard output and exits 0, for YAML and JSON', async () => {
  for (const yaml of [true, false]) {
    const path = writeBootstrap(dir, simple(), yaml);
    const { code, out } = await runToEnd(['--mode', 'validate', '-c', path]);
    assert.equal(out, `configuration '${path}' OK\n`);
    assert.equal(code, 0);
  }
});

test('--mode validate reads keys, certificates and authorities, and names whose they are', async () => {
  const socket = (type: string, more: Json): Json => ({ transport_socket: { name: 'tls', typed_config: { '@type': type, common_tls_context: more } } });
  const gone = (name: string): Json => ({ filename: join(dir, `gone-${name}.pem`) });
  const listener = httpListener({ name: 'secure', routes: [route({ prefix: '/' }, 'app')], chain: socket(typeOf.downstreamTls, { tls_certificates: [{ certificate_chain: gone('cert'), private_key: gone('key') }] }) });
  const upstream = cluster('behind', [app.port], socket(typeOf.upstreamTls, { validation_context: { trusted_ca: gone('ca') } }));
  const { code, err } = await validate(bootstrap([listener], [cluster('app', [app.port]), upstream]));
  assert.equal(code, 1);
  assert.match(err, /listener "secure": .*gone-cert\.pem/);
  assert.match(err, /cluster "behind": .*gone-ca\.pem/);
});

test('how long the end may take is said by the flag, else by the ProxyConfig, else it is ten seconds', async (t) => {
  t.after(() => delete process.env['PROXY_CONFIG']);
  const took = async (...args: string[]) => /"drainTimeoutMs":(\d+)/.exec((await runToEnd(['-c', writeBootstrap(dir, simple()), '--mode', 'init_only', ...args])).err)?.[1];
  assert.equal(await took(), '10000');
  process.env['PROXY_CONFIG'] = 'terminationDrainDuration: 7s';
  assert.deepEqual([await took(), await took('--drain-timeout', '3s')], ['7000', '3000']);
});

test('--config-yaml alone is a bootstrap, and laid over a file it changes and appends', async () => {
  const alone = await runToEnd(['--mode', 'validate', '--config-yaml', stringify(simple())]);
  assert.equal(alone.code, 0, alone.err);
  const over = await runToEnd(['--mode', 'validate', '-c', writeBootstrap(dir, simple()), '--config-yaml', 'static_resources: { clusters: [{ name: app }] }']);
  assert.equal(over.code, 1);
  assert.match(over.err, /static_resources\.clusters\[1\]\.name: "app" is taken/);
});

test('--version and --help go to standard output and exit 0', async () => {
  const version = await runToEnd(['--version']);
  assert.equal(version.code, 0);
  assert.match(version.out, /^meltemi-proxy .*\d+\.\d+\.\d+/);
  const help = await runToEnd(['--help']);
  assert.equal(help.code, 0);
  for (const flag of ['-c', '--config-path', '--mode', '--concurrency', '--log-level', '--service-node', '--drain-time-s', '--version']) assert.ok(help.out.includes(flag), flag);
});

test('what cannot be started says why in words, and exits non-zero', async () => {
  const cases: [readonly string[], RegExp][] = [
    [['--no-such-flag'], /no-such-flag/],
    [['-c', join(dir, 'missing.yaml')], /missing\.yaml.*no such file/],
    [['-c', dir], /directory/i],
    [[], /nothing to run: give -c BOOTSTRAP/],
    [['-c', writeBootstrap(dir, simple()), '--concurrency', 'many'], /concurrency/],
    [['-c', writeBootstrap(dir, simple()), '--mode', 'dry'], /mode.*serve.*validate/s],
    [['-c', writeBootstrap(dir, simple()), '-l', 'loud'], /log-level/],
    [['-c', writeBootstrap(dir, simple()), '--discovery-address', '127.0.0.1:1'], /give one of them/],
  ];
  for (const [args, words] of cases) {
    const { code, err, out } = await runToEnd(args);
    assert.match(err, words, args.join(' '));
    assert.notEqual(code, 0, args.join(' '));
    assert.equal(out, '', 'standard output stays empty');
    assert.doesNotMatch(err, /\n\s+at .*\.ts:/, 'no stack trace');
  }
});

test('unreadable YAML is refused with its line', async () => {
  const path = join(dir, 'broken.yaml');
  writeFileSync(path, 'static_resources:\n  listeners: [\n  clusters: }\n');
  const { code, err } = await runToEnd(['--mode', 'validate', '-c', path]);
  assert.equal(code, 1);
  assert.match(err, /broken\.yaml.*\n?.*line \d/s);
  writeFileSync(path, '- a\n- b\n');
  assert.match((await runToEnd(['--mode', 'validate', '-c', path])).err, /a bootstrap is a map/);
});

describe('what is not a bootstrap is refused by field path, all at once', () => {
  const listener = (change: Json) => bootstrap([{ ...httpListener({ routes: [route({ prefix: '/' }, 'app')] }), ...change }], [cluster('app', [1])]);
  const hcm = (change: Json) => bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: change })], [cluster('app', [1])]);
  const hcmAt = 'static_resources\\.listeners\\[0\\]\\.filter_chains\\[0\\]\\.filters\\[0\\]\\.typed_config';
  const cases: Record<string, [Json, RegExp]> = {
    'an unknown field at the top': [{ ...bootstrap([], []), static_resource: {} }, /static_resource: is not a field/],
    'an unknown field inside': [listener({ adress: {} }), /adress/],
    'an unknown field in a typed_config': [hcm({ stat_prefux: 'x' }), /stat_prefux/],
    'a wrong kind of value': [hcm({ normalize_path: 'maybe' }), /normalize_?path|normalizePath|bool/i],
    'an unknown enum value': [hcm({ codec_type: 'HTTP9' }), /HTTP9/],
    'an unknown @type': [listener({ filter_chains: [{ filters: [filter('x', 'type.googleapis.com/no.such.Filter')] }] }), /filter_chains\[0\]\.filters\[0\]\.typed_config: no\.such\.Filter is not supported/],
    'a known type that is no filter of ours': [listener({ filter_chains: [{ filters: [filter('x', 'type.googleapis.com/envoy.config.core.v3.Metadata')] }] }), /filters\[0\]\.typed_config.*is not a network filter/],
    'filters without the router behind them': [hcm({ http_filters: [filter('cors', 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors')] }), new RegExp(`${hcmAt}\\.http_filters\\[0\\]: the last filter must be terminal`)],
    'a regex that RE2 refuses': [bootstrap([httpListener({ routes: [route({ safe_regex: { regex: '(a)\\1' } }, 'app')] })], [cluster('app', [1])]), /routes\[0\]\.match\.safe_regex\.regex/],
    'traffic-changing features that we lack': [listener({ api_listener: { api_listener: filter('x', 'type.googleapis.com/envoy.config.core.v3.Metadata')['typed_config'] } }), /api_listener/],
    'health checkers from extensions': [bootstrap([], [cluster('app', [1], { health_checks: [{ timeout: '1s', interval: '1s', unhealthy_threshold: 1, healthy_threshold: 1, custom_health_check: { name: 'redis' } }] })]), /static_resources\.clusters\[0\]\.health_checks\[0\]\.custom_health_check: .*tcp_health_check/],
    'a Maglev table that cannot be filled': [bootstrap([], [cluster('app', [1], { lb_policy: 'MAGLEV', maglev_lb_config: { table_size: 10 } })]), /clusters\[0\]\.maglev_lb_config\.table_size: 10 is not a prime/],
    'EDS without a control plane': [bootstrap([], [{ name: 'app', type: 'EDS', eds_cluster_config: { eds_config: { ads: {} } } }]), /clusters\[0\]\.eds_cluster_config: `ads` needs dynamic_resources\.ads_config/],
    'two clusters of one name': [bootstrap([], [cluster('app', [1]), cluster('app', [2])]), /clusters\[1\]\.name: "app" is taken/],
    'a bootstrap field that changes traffic': [{ ...bootstrap([], []), grpc_mux: {}, bootstrap_extensions: [{ name: 'x', typed_config: { '@type': 'type.googleapis.com/google.protobuf.Struct' } }] }, /bootstrap_extensions: is not supported/],
  };
  for (const [what, [config, words]] of Object.entries(cases)) {
    test(what, async () => {
      const { code, err, out } = await validate(config);
      assert.match(err, words);
      assert.equal(code, 1);
      assert.equal(out, '');
    });
  }
});

test('fields that only tune are warned of by name, and the proxy runs', async () => {
  const tuning = { watchdogs: { main_thread_watchdog: {}, worker_watchdog: { multikill_timeout: '1s' } }, layered_runtime: { layers: [{ name: 'admin', admin_layer: {} }] }, stats_sinks: [], stats_config: {} };
  const { code, err } = await validate(simple(tuning), true);
  assert.equal(code, 0, err);
  for (const field of ['watchdogs.main_thread_watchdog', 'watchdogs.worker_watchdog.multikill_timeout', 'layered_runtime', 'stats_config']) assert.match(err, new RegExp(`"field":"${field}"`));
});

test('a busy port is refused with the address and the reason', async () => {
  await using first = await startProxy(simple());
  const address = { socket_address: { address: '127.0.0.1', port_value: first.port('web') } };
  const { code, err } = await runToEnd(['-c', writeBootstrap(dir, bootstrap([httpListener({ routes: [], listener: { address } })], []))]);
  assert.equal(code, 1);
  assert.match(err, new RegExp(`listener web.*cannot listen on 127\\.0\\.0\\.1:${first.port('web')}.*EADDRINUSE`));
  const admin = { address: { socket_address: { address: '127.0.0.1', port_value: first.port('admin') } } };
  const second = await runToEnd(['-c', writeBootstrap(dir, simple({ admin }))]);
  assert.equal(second.code, 1);
  assert.match(second.err, new RegExp(String(first.port('admin'))));
});

test('an address that is not ours is refused', async () => {
  const address = { socket_address: { address: '192.0.2.77', port_value: 0 } };
  const { code, err } = await runToEnd(['-c', writeBootstrap(dir, bootstrap([httpListener({ routes: [], listener: { address } })], []))]);
  assert.equal(code, 1);
  assert.match(err, /cannot listen on 192\.0\.2\.77:0.*EADDRNOTAVAIL/);
});

test('--concurrency 2: two workers share the port, and both serve', async () => {
  await using proxy = await startProxy(simple(), { args: ['--concurrency', '2'], yaml: true });
  const replies = await Promise.all(Array.from({ length: 20 }, () => request(proxy.port('web'))));
  assert.deepEqual(new Set(replies.map((reply) => reply.status)), new Set([200]));
  const threads = await request(proxy.port('admin'), { path: '/stats?filter=downstream_rq_total' });
  assert.match(threads.body, /http\.web\.downstream_rq_total: 20\n/);
  const end = await proxy.stop();
  assert.equal(end.code, 0);
});

test('--service-node and --service-cluster replace the bootstrap\'s node', async () => {
  await using proxy = await startProxy({ ...simple(), node: { id: 'old', cluster: 'old', locality: { zone: 'z' } } }, { args: ['--service-node', 'new-node', '--service-cluster', 'new-cluster', '--service-zone', 'zone-b'] });
  const info = JSON.parse((await request(proxy.port('admin'), { path: '/server_info' })).body) as { node: { id: string; cluster: string; locality?: { zone?: string } }; command_line_options: Record<string, unknown> };
  assert.equal(info.node.id, 'new-node');
  assert.equal(info.node.cluster, 'new-cluster');
  assert.equal(info.node.locality?.zone, 'zone-b');
  assert.equal(info.command_line_options['service_node'], 'new-node');
});

test('--admin-address-path holds the bound admin address, --log-path the log', async () => {
  const file = join(dir, 'admin-address');
  const log = join(dir, 'proxy.log');
  await using proxy = await startProxy(simple({ admin: { address: anyPort } }), { args: ['--admin-address-path', file, '--log-path', log, '-l', 'debug'] });
  const { readFileSync } = await import('node:fs');
  assert.equal(readFileSync(file, 'utf8'), `127.0.0.1:${proxy.port('admin')}`);
  await waitFor('the log', () => readFileSync(log, 'utf8').includes('"msg":"started"'));
});

test('--mode init_only starts everything and ends by itself', async () => {
  const { code } = await runToEnd(['--mode', 'init_only', '-c', writeBootstrap(dir, simple())]);
  assert.equal(code, 0);
});
