import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wasmPlugin } from '../kinds/later/extensions.ts';
import { kinds } from '../kinds/registry.ts';
import { requestAuthentication } from '../kinds/request-authentication/kind.ts';
import { virtualService } from '../kinds/virtual-service/kind.ts';
import { verdict } from '../testing/verdict.ts';
import { exceptions } from './exceptions.ts';
import { schemaFields } from './fields.ts';
import { covers, fieldSupport, supportedKinds } from './support.ts';
import { usedFields } from './used.ts';

test('every field of every kind has an answer, and what does not work says why', () => {
  let fields = 0;
  for (const kind of supportedKinds())
    for (const field of fieldSupport(kind)) {
      fields++;
      assert.equal(field.consequence === '', field.support === 'works', `${kind.kind} ${field.path}`);
    }
  assert.ok(fields > 1000, `only ${fields} fields`);
});

test('every exception names a field that exists, and a value it may have', () => {
  for (const { group, kinds: names, fields } of exceptions)
    for (const name of names) {
      const kind = kinds.find((one) => one.group === group && one.kind === name);
      assert.ok(kind, `${group}/${name}`);
      const paths = schemaFields(kind.schema).map((field) => field.path);
      for (const one of fields) {
        assert.ok(paths.some((path) => covers(one.path, path)), `${name} has no ${one.path}`);
        assert.match(one.consequence, /^\p{Ll}.*[^.]$/u, 'a consequence goes on after the field’s name');
      }
    }
});

test('a pattern means a field and what is inside of it', () => {
  assert.ok(covers('http[].retries', 'http[].retries.attempts') && covers('**.tls.sni', 'subsets[].trafficPolicy.tls.sni') && covers('a', 'a[].b') && covers('a', 'a{}'));
  assert.ok(!covers('http', 'https') && !covers('**.tls', 'mtls') && !covers('a.b', 'a'));
});

test('used fields are those set to something, in either spelling', () => {
  const spec = { hosts: ['a'], gateways: [], http: [{ name: '', route: [{ destination: { host: 'a' }, weight: 0 }], mirror_percent: 5, headers: null, match: [{ headers: { a: {} } }] }], bogus: 1 };
  assert.deepEqual(
    usedFields(virtualService.schema, spec, 'spec').map(({ path, at }) => `${path} ${at}`),
    ['hosts spec.hosts', 'http spec.http', 'http[].route spec.http[0].route', 'http[].route[].destination spec.http[0].route[0].destination', 'http[].route[].destination.host spec.http[0].route[0].destination.host', 'http[].mirrorPercent spec.http[0].mirror_percent', 'http[].match spec.http[0].match', 'http[].match[].headers spec.http[0].match[0].headers'],
  );
});

test('a refused field is warned of at its place, a refused value only when it is that value; where half of it would let somebody in, the object is refused', () => {
  const tcp = '{hosts: [a], tcp: [{match: [{sourceSubnet: 10.0.0.0/8}], route: [{destination: {host: a}}]}]}';
  assert.deepEqual(verdict(virtualService, tcp).errors, []);
  assert.match(verdict(virtualService, tcp).warnings.join(), /spec\.tcp\[0\]\.match\[0\]\.sourceSubnet: has no effect/);
  const presence = (name: string): string => verdict(requestAuthentication, `{jwtRules: [{issuer: a, jwksUri: "https://a/jwks", presence: ${name}}]}`).errors.join();
  assert.equal(presence('OPTIONAL'), '');
  assert.match(presence('REQUIRED'), /spec\.jwtRules\[0\]\.presence: is not enforced/);
  const phase = (name: string): string => verdict(wasmPlugin, `{url: "oci://a/b", phase: ${name}}`).warnings.join();
  assert.match(phase('AUTHZ'), /spec\.phase: .*pass without its decision/);
  assert.doesNotMatch(phase('STATS'), /spec\.phase/);
});
