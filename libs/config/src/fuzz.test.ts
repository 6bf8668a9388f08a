import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { decode } from './decode.ts';
import { toRawObject } from './envelope.ts';
import { validateDocuments } from './documents/validate.ts';
import { kinds } from './kinds/registry.ts';
import { migrationReport } from './support/migrate.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 300) };

// JSON whose keys are often fields that exist, so that it gets past the first unknown one.
const names = [...new Set(kinds.flatMap((kind) => kind.schema.fields ?? [])), 'match', 'route', 'destination', 'host', 'port', 'number', 'weight', 'tls', 'mode', 'labels', 'name', 'fault', 'delay', '__proto__'];
const { value: json, map: jsonMap } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.constantFrom('1s', '*', 'a.b', 'HTTP', '10.0.0.1/8'), fc.array(tie('value'), { maxLength: 3 }), tie('map')),
  map: fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), tie('value'), { maxKeys: 6 }),
}));

test('decoding any JSON as any kind gives a result, never an exception', () => {
  fc.assert(
    fc.property(fc.constantFrom(...kinds), jsonMap, fc.oneof(json, fc.constant({ name: 'a' })), (kind, spec, metadata) => {
      const apiVersion = kind.group === '' ? (kind.versions[0] ?? '') : `${kind.group}/${kind.versions[0]}`;
      const raw = toRawObject({ ...Object(spec), apiVersion, kind: kind.kind, metadata, spec });
      if (!raw.ok) return;
      const result = decode(raw.value);
      assert.ok(result.ok || result.error.length > 0);
    }),
    runs,
  );
});

test('any text gives entries, never an exception', () => {
  const yamlish = fc.array(fc.constantFrom('a', ': ', '- ', '\n', '  ', '[', ']', '{', '}', '&x ', '*x', '"', "'", '|', '>', '---\n', '...', '# ', '? ', '!!str ', '<<', '%YAML', '\t', ','), { maxLength: 60 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), yamlish), (text) => {
      for (const entry of validateDocuments(text, 'f')) assert.equal(entry.valid, entry.errors.length === 0);
      for (const object of migrationReport([{ name: 'f', text }]).objects) assert.ok(object.line >= 1);
    }),
    runs,
  );
});

// Valid objects with a value here and there replaced: these decode often enough that `validate` runs on odd values, too.
const samples = [
  `{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: a}, spec: {hosts: [a, b.c], gateways: [mesh, x/y], http: [{match: [{uri: {regex: a}, headers: {b: {prefix: c}}, port: 1, sourceLabels: {a: b}}], route: [{destination: {host: a, subset: b, port: {number: 1}}, weight: 1, headers: {request: {set: {a: "%X%"}}}}], rewrite: {uri: /}, timeout: 1s, retries: {attempts: 1, retryOn: 5xx}, fault: {delay: {fixedDelay: 1s, percentage: {value: 1}}, abort: {httpStatus: 500}}, corsPolicy: {allowOrigins: [{regex: a}], maxAge: 1s}, mirrors: [{destination: {host: a}}]}, {redirect: {uri: a, redirectCode: 301}}], tls: [{match: [{sniHosts: [a]}], route: [{destination: {host: a}}]}], tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: a}}]}], exportTo: [.]}}`,
  `{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: a}, spec: {host: a, subsets: [{name: a, labels: {a: b}}], trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 1s}, maglev: {tableSize: 7}}, localityLbSetting: {distribute: [{from: a/b/c, to: {"a/*": 100}}]}}, connectionPool: {http: {http2KeepAlive: {interval: 1s, timeout: 1s}}}, tls: {mode: MUTUAL, credentialName: a}, tunnel: {targetHost: a, targetPort: 1}}}}`,
  `{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: a}, spec: {servers: [{port: {number: 0, name: a, protocol: HTTPS}, bind: unix:///a, hosts: ["a/b.c"], tls: {mode: SIMPLE, credentialName: a, cipherSuites: ["[A|B]"]}}]}}`,
  `{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: a}, spec: {hosts: ["*.a.b"], addresses: ["10.0.0.0/8", "::1"], ports: [{number: 1, name: a, protocol: TCP}], resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {a: 1}, labels: {a: b}}]}}`,
  `{apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: a}, spec: {ingress: [{port: {number: 1, protocol: HTTPS}, defaultEndpoint: "[::1]:80", tls: {mode: SIMPLE, serverCertificate: a, privateKey: b}}], egress: [{port: {number: 0}, bind: unix:///a, hosts: ["~a/*", "./b.c"]}]}}`,
  `{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: a}, spec: {action: CUSTOM, provider: {name: a}, rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}], to: [{operation: {paths: ["/{*}/{**}"], ports: ["1"]}}], when: [{key: "request.headers[a]", values: [a]}]}]}}`,
  `{accessLogFile: a, trustDomain: a.b, defaultProviders: {tracing: [a]}, serviceSettings: [{hosts: ["*.a"]}], defaultConfig: {drainDuration: 1s}}`,
  `{apiVersion: v1, kind: ConfigMap, metadata: {name: istio}, data: {mesh: "accessLogFile: a"}}`,
  `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 1, targetPort: a}], selector: {a: b}}}`,
];
const leaf = fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.constantFrom('', '*', '/', '%', '[', '*.', '.', '~', 'unix://', '-', '0', '{**}', '(?=', '__proto__', null), json);

/** Replaces the n-th value (depth first, wrapping around) of a JSON tree. */
function replaced(tree: unknown, n: number, value: unknown): unknown {
  const places: (readonly [Record<string, unknown>, string])[] = [];
  const root: Record<string, unknown> = { tree };
  const collect = (holder: Record<string, unknown>): void => {
    for (const [key, inner] of Object.entries(holder)) {
      places.push([holder, key]);
      if (typeof inner === 'object' && inner !== null) collect(inner as Record<string, unknown>);
    }
  };
  collect(root);
  const place = places[n % places.length];
  if (place) place[0][place[1]] = value;
  return root['tree'];
}

test('the samples are valid as they stand', () => {
  for (const sample of samples) assert.deepEqual(validateDocuments(sample, 'f').flatMap((entry) => entry.errors), []);
});

test('valid objects with odd values in them are judged, never thrown at', () => {
  let valid = 0;
  fc.assert(
    fc.property(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(200), leaf), { maxLength: 3 }), (sample, changes) => {
      const tree = changes.reduce<unknown>((so, [n, value]) => replaced(so, n, structuredClone(value)), parse(sample));
      for (const entry of validateDocuments(JSON.stringify(tree) ?? 'null', 'f')) if (entry.valid) valid++;
    }),
    runs,
  );
  assert.ok(valid > 0, 'no sample survived: the test no longer reaches validation');
});

test('a report on valid objects with odd values in them is of the same mind as validation', () => {
  fc.assert(
    fc.property(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(200), leaf), { maxLength: 3 }), (sample, changes) => {
      const tree = changes.reduce<unknown>((so, [n, value]) => replaced(so, n, structuredClone(value)), parse(sample));
      const text = JSON.stringify(tree) ?? 'null';
      const valid = validateDocuments(text, 'f').every((entry) => entry.valid);
      for (const object of migrationReport([{ name: 'f', text }]).objects) if (!valid) assert.notEqual(object.classification, 'supported');
    }),
    runs,
  );
});
