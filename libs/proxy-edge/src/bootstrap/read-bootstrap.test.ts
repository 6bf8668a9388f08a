import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readBootstrap } from './read-bootstrap.ts';

const minimal = `
admin:
  address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
static_resources:
  listeners:
  - name: web
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: app
`;

test('a YAML bootstrap is read, and the same as JSON in camel case', () => {
  const yaml = readBootstrap(minimal);
  assert.ok(yaml.ok);
  assert.equal(yaml.value.bootstrap.staticResources?.listeners[0]?.name, 'web');
  const json = readBootstrap(JSON.stringify({ staticResources: { clusters: [{ name: 'app', connectTimeout: '1s' }] } }));
  assert.ok(json.ok);
  assert.equal(json.value.bootstrap.staticResources?.clusters[0]?.connectTimeout?.seconds, 1n);
});

test('what only tunes is warned of by name and left out', () => {
  const read = readBootstrap(`${minimal}layered_runtime: { layers: [{ name: x, admin_layer: {} }] }\nstats_config: { anything: goes }\n`);
  assert.ok(read.ok);
  assert.deepEqual(read.value.warnings.map((warning) => warning.path), ['layered_runtime', 'stats_config']);
});

test('unknown fields and unknown types are refused by name and path', () => {
  const field = readBootstrap('static_resource: {}');
  assert.match(field.ok ? '' : (field.error[0]?.message ?? ''), /not a field of/);
  const type = readBootstrap(minimal.replace('tcp_proxy.v3.TcpProxy', 'nothing.v3.Nothing'));
  assert.ok(!type.ok);
  assert.equal(type.error[0]?.path, 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config');
  const nested = readBootstrap(minimal.replace('stat_prefix', 'stat_prefux'));
  assert.ok(!nested.ok);
  assert.deepEqual(nested.error, [{
    path: 'static_resources.listeners[0].filter_chains[0].filters[0].typed_config.stat_prefux',
    message: 'is not a field of envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy: did you mean stat_prefix?',
  }]);
});

test('values of the wrong kind are refused with their path and what would be right, all at once', () => {
  const read = readBootstrap(`
static_resources:
  clusters:
  - name: 5
    type: STATICALLY
    connect_timeout: soon
    common_lb_config: []
    metadata: { filter_metadata: { a: { any: [1] } } }
  - { name: a, connect_timeout: 1s, lb_config: {}, round_robin_lb_config: {}, least_request_lb_config: {} }
  listeners: {}
`);
  assert.ok(!read.ok);
  const found = new Map(read.error.map(({ path, message }) => [path, message]));
  assert.match(found.get('static_resources.clusters[0].name') ?? '', /5|string/);
  assert.match(found.get('static_resources.clusters[0].type') ?? '', /"STATICALLY" is not one of STATIC, STRICT_DNS/);
  assert.ok(found.has('static_resources.clusters[0].connect_timeout'));
  assert.match(found.get('static_resources.clusters[0].common_lb_config') ?? '', /map of fields/);
  assert.match(found.get('static_resources.clusters[1].least_request_lb_config') ?? '', /beside round_robin_lb_config/);
  assert.equal(found.get('static_resources.listeners'), 'must be a list');
  assert.equal(found.size, 7);
});

test('no text makes the reader throw', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.constantFrom('&a [*a]', '- x', '{', 'a: [', '? x')), (text) => {
    readBootstrap(text);
  }), { numRuns: 300 });
});

test('workers are watched as watchdogs.worker_watchdog says, else as Envoy does', () => {
  const read = (text: string) => readBootstrap(text);
  const plain = read('{}');
  assert.deepEqual(plain.ok && plain.value.watchdog, { missMs: 200, megaMissMs: 1000, killMs: 30_000 });
  const own = read('{ watchdogs: { worker_watchdog: { miss_timeout: 1s, megamiss_timeout: 3s, kill_timeout: 0s } } }');
  assert.deepEqual(own.ok && own.value.watchdog, { missMs: 1000, megaMissMs: 3000, killMs: 0 });
  const wrong = read('{ watchdogs: { worker_watchdog: { miss_timeout: 0.001s, kill_timeout: 0.5s } } }');
  assert.deepEqual(!wrong.ok && wrong.error.map(({ path }) => path), ['watchdogs.worker_watchdog.miss_timeout', 'watchdogs.worker_watchdog.kill_timeout']);
});
