import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Scope } from '../push-context/scope.ts';
import type { Service } from '../registry/model.ts';
import { carriedBy } from './without-http2.ts';

const service = { hostname: 'a.default.svc.cluster.local', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }, { number: 90, name: 'grpc', protocol: 'GRPC' }] } as unknown as Service;
const scope: Scope = { services: [service], byHost: new Map([[service.hostname, service]]), egress: [{ services: [service], virtualServices: [] }], allowAny: true };

test('a proxy without HTTP/2 carries gRPC ports as TCP, everywhere it sees the service', () => {
  const carried = carriedBy({ http2: false }, scope);
  for (const each of [carried.services[0], carried.byHost.get(service.hostname), carried.egress[0]?.services[0]]) assert.deepEqual(each?.ports.map((port) => port.protocol), ['HTTP', 'TCP']);
  assert.equal(carriedBy({ http2: false }, scope), carried, 'the same scope gives the same object: caches go by identity');
});

test('a proxy with HTTP/2 sees the scope as it is', () => {
  assert.equal(carriedBy({ http2: true }, scope), scope);
});
