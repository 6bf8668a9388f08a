import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Config } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { translate } from '../translate/translate.ts';
import { bookinfo, configsOf, meshOf, proxyOf } from './mesh.test-support.ts';

const types = [xdsType.cluster, xdsType.endpoint, xdsType.listener, xdsType.route];
const istio = (kind: string, name: string, spec: string) => configsOf(`apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: default}\nspec: ${spec}\n`);
const db = configsOf('apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: default}\nspec: {clusterIP: 10.96.7.7, ports: [{name: tcp, port: 3306}]}\n');

const key = fc.constantFrom('app', 'version', 'tier');
const value = fc.constantFrom('a', 'b');
const asked = fc.tuple(key, value).map(([name, wanted]) => `{${name}: ${wanted}}`);

/** Rules that ask who the client is, in every way that rules can. */
const rules = fc.oneof(
  asked.map((labels) => istio('VirtualService', 'http', `{hosts: [reviews], http: [{match: [{sourceLabels: ${labels}}], route: [{destination: {host: ratings}}]}, {route: [{destination: {host: reviews}}]}]}`)),
  asked.map((labels) => istio('VirtualService', 'tcp', `{hosts: [db], tcp: [{match: [{sourceLabels: ${labels}}], route: [{destination: {host: ratings, port: {number: 9080}}}]}]}`)),
  asked.map((labels) => istio('DestinationRule', 'chosen', `{host: details, workloadSelector: {matchLabels: ${labels}}, trafficPolicy: {connectionPool: {http: {maxRetries: 7}}}}`)),
  key.map((name) => istio('DestinationRule', 'near', `{host: ratings, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}, loadBalancer: {localityLbSetting: {failoverPriority: [${name}]}}}}`)),
  asked.map((labels) => istio('Sidecar', 'picked', `{workloadSelector: {labels: ${labels}}, egress: [{hosts: ["default/ratings.default.svc.cluster.local", "default/db.default.svc.cluster.local"]}]}`)),
);

const client = fc.record({ labels: fc.dictionary(key, value, { maxKeys: 3 }), last: fc.nat(3), namespace: fc.constantFrom('default', 'other'), interception: fc.constantFrom('REDIRECT', 'NONE') })
  .map(({ labels, last, namespace, interception }) => proxyOf(`sidecar~10.9.9.${last}~x.${namespace}~${namespace}.svc.cluster.local`, { NAMESPACE: namespace, LABELS: labels, INTERCEPTION_MODE: interception }));

function sent(push: PushContext, proxy: Proxy): string[] {
  return types.flatMap((typeUrl) => [...translate(push, proxy, { typeUrl }).resources.values()].map(({ name, version }) => `${typeUrl} ${name} ${version}`));
}

test('whatever rules ask of clients, each is sent among others what it would be sent alone', () => {
  fc.assert(
    fc.property(fc.array(rules, { maxLength: 4 }), fc.array(client, { minLength: 2, maxLength: 5 }), (made, clients) => {
      const objects = new Map<string, Config>([...bookinfo(), ...db, ...made.flat()].map((config) => [JSON.stringify(config.key), config]));
      const together = meshOf([...objects.values()]);
      for (const proxy of clients) sent(together, proxy);
      for (const proxy of clients) assert.deepEqual(sent(together, proxy), sent(meshOf([...objects.values()]), proxy));
    }),
    { numRuns: 50 },
  );
});
