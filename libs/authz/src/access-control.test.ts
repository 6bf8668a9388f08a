import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonToBinary } from '@meltemi/api';
import { RBAC } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection, type ConnectionInfo, type TlsInfo } from '@meltemi/http';
import { compileRbac, deniedDetails } from './index.ts';

type Json = Record<string, unknown>;

const compiled = (json: Json) => compileRbac(RBAC.decode(jsonToBinary('envoy.config.rbac.v3.RBAC', json)), 'rules');

function control(json: Json) {
  const result = compiled(json);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

const template = (pathTemplate: string): Json => ({ name: 'uri-template', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', pathTemplate } });

/** Whether one permission, or one principal, matches. */
const permits = (permission: Json, info: StreamInfo) => control({ policies: { p: { permissions: [permission], principals: [{ any: true }] } } }).decide(info).policy === 'p';
const isPrincipal = (principal: Json, info: StreamInfo) => control({ policies: { p: { permissions: [{ any: true }], principals: [principal] } } }).decide(info).policy === 'p';

function request(path = '/shop/cart?id=1#top', headers: Record<string, string> = {}, connection: Partial<ConnectionInfo> = {}): StreamInfo {
  const info = new StreamInfo({ ...unknownConnection, localAddress: '10.0.0.9:8080', directRemoteAddress: '10.0.0.5:4000', requestedServerName: 'shop.example', ...connection }, 0, 0);
  info.request = new RequestHead('GET', path, 'shop.example', HeaderMap.from(headers));
  return info;
}

const tls = (more: Partial<TlsInfo>): Partial<ConnectionInfo> => ({
  tls: {
    version: 'TLSv1.3', cipher: '', sni: '', alpn: '', peerPresented: true, peerValidated: true, peerSubject: 'CN=ann', peerIssuer: '', peerUriSans: [], peerDnsSans: [], peerSerial: '', peerFingerprint256: '',
    peerCertPem: '', peerChainPem: '', peerCertValidFromMs: 0, peerCertValidToMs: 0, localSubject: '', localUriSans: [], localDnsSans: [], ...more,
  },
});

test('permissions look at the request and where it went', () => {
  const info = request('/shop/cart?id=1#top', { 'x-role': 'admin' });
  const matching: Json[] = [
    { any: true }, { header: { name: ':method', stringMatch: { exact: 'GET' } } }, { header: { name: 'x-role', presentMatch: true } }, { urlPath: { path: { exact: '/shop/cart' } } }, { uriTemplate: template('/*/cart') },
    { destinationIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } }, { destinationPort: 8080 }, { destinationPortRange: { start: 8080, end: 8081 } }, { requestedServerName: { suffix: '.example' } },
    { notRule: { destinationPort: 80 } }, { andRules: { rules: [{ any: true }, { destinationPort: 8080 }] } }, { orRules: { rules: [{ destinationPort: 1 }, { any: true }] } },
  ];
  for (const rule of matching) assert.equal(permits(rule, info), true, JSON.stringify(rule));
  const others: Json[] = [
    { header: { name: 'x-role', stringMatch: { exact: 'user' } } }, { urlPath: { path: { prefix: '/admin' } } }, { uriTemplate: template('/shop/*/cart') }, { destinationIp: { addressPrefix: '10.1.0.0', prefixLen: 16 } }, { destinationPort: 80 },
    { destinationPortRange: { start: 8081, end: 9000 } }, { requestedServerName: { exact: 'other' } }, { notRule: { any: true } }, { andRules: { rules: [{ any: true }, { destinationPort: 1 }] } },
  ];
  for (const rule of others) assert.equal(permits(rule, info), false, JSON.stringify(rule));
});

test('a principal is told by address: of the TCP peer, or the client that x-forwarded-for named', () => {
  const info = request();
  info.downstreamRemoteAddress = '[2001:db8::7]:0';
  assert.equal(isPrincipal({ directRemoteIp: { addressPrefix: '10.0.0.5', prefixLen: 32 } }, info), true);
  assert.equal(isPrincipal({ sourceIp: { addressPrefix: '10.0.0.5', prefixLen: 32 } }, info), true);
  assert.equal(isPrincipal({ remoteIp: { addressPrefix: '10.0.0.5', prefixLen: 32 } }, info), false);
  assert.equal(isPrincipal({ remoteIp: { addressPrefix: '2001:db8::', prefixLen: 32 } }, info), true);
});

test('a principal is told by the names in its verified certificate', () => {
  const named = (principalName: Json) => ({ authenticated: { principalName } });
  const uri = request('/', {}, tls({ peerUriSans: ['spiffe://a/ns/b/sa/c'] }));
  assert.equal(isPrincipal(named({ exact: 'spiffe://a/ns/b/sa/c' }), uri), true);
  assert.equal(isPrincipal(named({ exact: 'spiffe://a/ns/b/sa/other' }), uri), false);
  assert.equal(isPrincipal(named({ exact: 'b.example' }), request('/', {}, tls({ peerDnsSans: ['a.example', 'b.example'] }))), true);
  assert.equal(isPrincipal(named({ exact: 'CN=ann' }), request('/', {}, tls({}))), true);
  assert.equal(isPrincipal(named({ prefix: 'CN=' }), request()), false);
  assert.equal(isPrincipal({ authenticated: {} }, uri), true);
  assert.equal(isPrincipal({ authenticated: {} }, request()), false);
});

test('a certificate nobody verified names nobody', () => {
  const forged = request('/', {}, tls({ peerUriSans: ['spiffe://a/ns/b/sa/c'], peerValidated: false }));
  assert.equal(isPrincipal({ authenticated: { principalName: { safeRegex: { regex: '.*' } } } }, forged), false);
});

test('what filters before found out counts: metadata of tokens, filter state', () => {
  const info = request();
  info.setMetadata('envoy.filters.http.jwt_authn', 'payload', { groups: ['dev', 'ops'] });
  info.setFilterState('envoy.tenant', 'blue');
  const metadata = { filter: 'envoy.filters.http.jwt_authn', path: [{ key: 'payload' }, { key: 'groups' }], value: { listMatch: { oneOf: { stringMatch: { exact: 'ops' } } } } };
  assert.equal(isPrincipal({ metadata }, info), true);
  assert.equal(permits({ metadata: { ...metadata, invert: true } }, info), false);
  assert.equal(isPrincipal({ filterState: { key: 'envoy.tenant', stringMatch: { exact: 'blue' } } }, info), true);
  assert.equal(isPrincipal({ filterState: { key: 'envoy.other', stringMatch: { exact: 'blue' } } }, info), false);
});

test('a plain TCP connection has neither headers nor a path', () => {
  const info = request();
  info.request = null;
  assert.equal(permits({ header: { name: ':method', stringMatch: { exact: 'GET' } } }, info), false);
  assert.equal(permits({ header: { name: 'x', presentMatch: true, invertMatch: true } }, info), true);
  assert.equal(permits({ urlPath: { path: { safeRegex: { regex: '.*' } } } }, info), false);
  assert.equal(permits({ uriTemplate: template('/**') }, info), false);
});

test('the first policy by name that matches decides, and the action says what it decides', () => {
  const any = { permissions: [{ any: true }], principals: [{ any: true }] };
  const none = { permissions: [{ destinationPort: 1 }], principals: [{ any: true }] };
  const info = request();
  const allow = control({ action: 'ALLOW', policies: { z: any, b: any, a: none } });
  assert.equal(allow.decide(info).policy, 'b');
  const allowed = (action: string) => [any, none].map((policy) => control({ action, policies: { a: policy } }).decide(info).allowed);
  assert.deepEqual(['ALLOW', 'DENY', 'LOG'].map(allowed), [[true, false], [false, true], [true, true]]);
  assert.equal(control({}).decide(info).policy, null);
});

test('what cannot be run is refused by its path', () => {
  const any = [{ any: true }];
  const policies: [Json, string][] = [
    [{ permissions: any, principals: any, condition: { id: '1' } }, 'condition'],
    [{ permissions: any, principals: any, checkedCondition: {} }, 'checked_condition'],
    [{ permissions: [], principals: any }, 'permissions'],
    [{ permissions: any }, 'principals'],
    [{ permissions: [{}], principals: any }, 'permissions[0]'],
    [{ permissions: [{ any: false }], principals: any }, 'permissions[0].any'],
    [{ permissions: [{ matcher: { name: 'm' } }], principals: any }, 'permissions[0].matcher'],
    [{ permissions: [{ uriTemplate: { name: 'm' } }], principals: any }, 'permissions[0].uri_template.typed_config'],
    [{ permissions: [{ uriTemplate: template('a') }], principals: any }, 'permissions[0].uri_template.typed_config.path_template'],
    [{ permissions: [{ destinationPortRange: { start: 5, end: 5 } }], principals: any }, 'permissions[0].destination_port_range'],
    [{ permissions: [{ destinationIp: { addressPrefix: 'x' } }], principals: any }, 'permissions[0].destination_ip.address_prefix'],
    [{ permissions: [{ andRules: { rules: [{ notRule: {} }] } }], principals: any }, 'permissions[0].and_rules.rules[0].not_rule'],
    [{ permissions: any, principals: [{ orIds: {} }] }, 'principals[0].or_ids.ids'],
    [{ permissions: any, principals: [{ authenticated: { principalName: { safeRegex: { regex: '(' } } } }] }, 'principals[0].authenticated.principal_name.safe_regex.regex'],
  ];
  for (const [policy, at] of policies) {
    const result = compiled({ policies: { one: policy } });
    assert.ok(!result.ok, at);
    assert.deepEqual(result.error.map(({ path }) => path), [`rules.policies["one"].${at}`]);
  }
  const audited = compiled({ auditLoggingOptions: { auditCondition: 'ON_DENY' } });
  assert.ok(!audited.ok);
  assert.equal(audited.error[0]?.path, 'rules.audit_logging_options');
});

test('details of a denial have no white space', () => {
  assert.deepEqual([deniedDetails('ns[shop]-policy[a b\tc]-rule[0]'), deniedDetails(null)], ['rbac_access_denied_matched_policy[ns[shop]-policy[a_b_c]-rule[0]]', 'rbac_access_denied_matched_policy[none]']);
});

test('any nesting of and, or and not means what logic says', () => {
  const { tree } = fc.letrec<{ tree: { json: Json; holds: (set: ReadonlySet<string>) => boolean } }>((tie) => ({
    tree: fc.oneof({ maxDepth: 5 },
      fc.constantFrom('a', 'b', 'c').map((name) => ({ json: { header: { name, presentMatch: true } } as Json, holds: (set: ReadonlySet<string>) => set.has(name) })),
      fc.array(tie('tree'), { minLength: 1, maxLength: 3 }).map((members) => ({ json: { andRules: { rules: members.map(({ json }) => json) } }, holds: (set: ReadonlySet<string>) => members.every(({ holds }) => holds(set)) })),
      fc.array(tie('tree'), { minLength: 1, maxLength: 3 }).map((members) => ({ json: { orRules: { rules: members.map(({ json }) => json) } }, holds: (set: ReadonlySet<string>) => members.some(({ holds }) => holds(set)) })),
      tie('tree').map(({ json, holds }) => ({ json: { notRule: json }, holds: (set: ReadonlySet<string>) => !holds(set) }))),
  }));
  fc.assert(fc.property(tree, fc.subarray(['a', 'b', 'c']), ({ json, holds }, names) => {
    assert.equal(permits(json, request('/', Object.fromEntries(names.map((name) => [name, '1'])))), holds(new Set(names)));
  }), { numRuns: 200 });
});

test('no message makes compiling or evaluating throw', () => {
  const good = Buffer.from(jsonToBinary('envoy.config.rbac.v3.RBAC', { policies: { a: { permissions: [{ andRules: { rules: [{ destinationPort: 80 }, { urlPath: { path: { safeRegex: { regex: 'a.*' } } } }] } }], principals: [{ authenticated: { principalName: { exact: 'x' } } }] } } }));
  const bent = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }).map((edits) => {
    const bytes = Buffer.from(good);
    for (const [at, byte] of edits) bytes[at] = byte;
    return bytes;
  });
  fc.assert(fc.property(fc.oneof(bent, fc.uint8Array({ maxLength: 64 })), (bytes) => {
    let message: RBAC;
    try {
      message = RBAC.decode(bytes);
    } catch {
      return;
    }
    const result = compileRbac(message, 'rules');
    if (result.ok) result.value.decide(request());
  }), { numRuns: 500 });
});
