import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clusterSni, inboundCluster, outboundCluster, parseClusterName, parseClusterSni } from './cluster-name.ts';
import { addressListener, parseListenerName } from './listener-name.ts';
import { gatewayHttpRoute, gatewayHttpsRoute, inboundRoute, outboundRoute, parseRouteName } from './route-name.ts';

const host = 'reviews.default.svc.cluster.local';

test('cluster names are written as Istio writes them', () => {
  assert.equal(outboundCluster(9080, host, 'v1'), `outbound|9080|v1|${host}`);
  assert.equal(outboundCluster(9080, host), `outbound|9080||${host}`);
  assert.equal(inboundCluster(9080), 'inbound|9080||');
  assert.equal(clusterSni(80, host, 'v1'), `outbound_.80_.v1_.${host}`);
});

test('cluster names and their SNI form read back as what was written', () => {
  const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?$/);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65535 }), fc.oneof(fc.constant(''), label), fc.array(label, { minLength: 1, maxLength: 5 }), (port, subset, labels) => {
      const expected = { direction: 'outbound', port, subset, host: labels.join('.') };
      assert.deepEqual(parseClusterName(outboundCluster(port, labels.join('.'), subset)), expected);
      assert.deepEqual(parseClusterSni(clusterSni(port, labels.join('.'), subset)), expected);
    }),
  );
  assert.deepEqual(parseClusterName('inbound|9080||'), { direction: 'inbound', port: 9080, subset: '', host: '' });
});

test('names that are not generated cluster names give undefined', () => {
  for (const name of ['', 'PassthroughCluster', 'outbound|80|v1', 'outbound|x||h', 'outbound|70000||h', 'outbound|80||h|x', 'sideways|80||h', 'xds-grpc']) assert.equal(parseClusterName(name), undefined, name);
  for (const sni of ['', host, 'outbound_.x_._.h', 'outbound_.80_.v1']) assert.equal(parseClusterSni(sni), undefined, sni);
});

test('route names read back as what was written', () => {
  assert.deepEqual(parseRouteName(outboundRoute(9080)), { kind: 'outbound', port: 9080 });
  assert.deepEqual(parseRouteName(inboundRoute(9080)), { kind: 'inbound', port: 9080 });
  assert.deepEqual(parseRouteName(gatewayHttpRoute(8080)), { kind: 'gateway', protocol: 'http', port: 8080, server: '' });
  assert.deepEqual(parseRouteName(gatewayHttpsRoute({ port: 443, portName: 'https', gateway: 'gw', namespace: 'ns' })), { kind: 'gateway', protocol: 'https', port: 443, server: 'https.gw.ns' });
  assert.deepEqual(parseRouteName('http_proxy'), { kind: 'http-proxy' });
  for (const name of ['', 'block_all', '70000', 'http.', 'inbound|x||']) assert.equal(parseRouteName(name), undefined, name);
});

test('listener names read back as what was written', () => {
  for (const address of ['0.0.0.0', '10.0.0.1', '::', '/run/app_1.sock']) assert.deepEqual(parseListenerName(addressListener(address, 9080)), { kind: 'address', address, port: 9080 });
  assert.deepEqual(parseListenerName('virtualOutbound'), { kind: 'virtual-outbound' });
  assert.deepEqual(parseListenerName('virtualInbound'), { kind: 'virtual-inbound' });
  for (const name of ['', '0.0.0.0', '_9080', '0.0.0.0_99999', 'a_b']) assert.equal(parseListenerName(name), undefined, name);
});

test('parsers survive any text', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parseClusterName(text);
      parseClusterSni(text);
      parseRouteName(text);
      parseListenerName(text);
    }),
  );
});
