import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import { jsonToBinary, messageRegistry } from '@meltemi/api';
import { ok, type FieldError, type Result } from '@meltemi/base';
import { FilterEvents, type HttpStreamFilter, type HttpFilterConfig, type HttpFilterFactory } from '../filter.ts';
import { filterJson, requestText, routeToApp, Served } from '../testing/served.ts';
import { filterExtensions, httpFilters } from './registry.ts';

/** What every HTTP filter keeps to. A new one is registered with a row here. */

type Json = Record<string, unknown>;
type Values = Readonly<Record<string, unknown>>;

interface Member {
  /** Settings under which the filter has something to do for the requests below. */
  readonly config: Json;
  /** Settings without which a config is refused. Default none. */
  readonly least?: Json;
  /** Content type of the second request, where the filter looks at that. Default application/grpc-web. */
  readonly type?: string;
  /** Values that tell a field apart from its default, where one made up from its type does not. */
  readonly values?: Readonly<Record<string, Values>>;
  /** The route's settings for it, where those alone give it something to do. */
  readonly route?: Json;
  /** Others that change the answer to the second request. Only for filters with parseRoute. */
  readonly otherRoute?: Json;
  /** What its route's settings do shows only beside a service, which this suite has not: its own test has. */
  readonly shownApart?: true;
}

const all = { numerator: 100 };
const bucket = { maxTokens: 5, fillInterval: '1s' };
const rateLimit = { tokenBucket: bucket, filterEnabled: { defaultValue: all }, filterEnforced: { defaultValue: all } };
const rls = { domain: 'd', failureModeDeny: true, rateLimitService: { grpcService: { envoyGrpc: { clusterName: 'app' } }, transportApiVersion: 'V3' } };
const gzip = { name: 'gzip', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip' } };
const gunzip = { name: 'gzip', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.compression.gzip.decompressor.v3.Gzip' } };
const members: Readonly<Record<string, Member>> = {
  'meltemi.filters.http.decision_trace': { config: { principals: ['a'] } },
  'envoy.filters.http.peer_metadata': {
    config: { upstreamDiscovery: [{ istioHeaders: {} }], upstreamPropagation: [{ istioHeaders: {} }] },
    values: { 'io.istio.http.peer_metadata.Config': Object.fromEntries(['downstream_discovery', 'upstream_discovery', 'downstream_propagation', 'upstream_propagation'].map((name) => [name, [{ istioHeaders: {} }]])) },
  },
  'envoy.filters.http.health_check': {
    config: { passThroughMode: true, cacheTime: '1s', headers: [{ name: 'origin' }] },
    least: { pass_through_mode: true },
    values: { 'envoy.extensions.filters.http.health_check.v3.HealthCheck': { pass_through_mode: false, headers: [{ name: 'a' }], cluster_min_healthy_percentages: { app: { value: 1 } } } },
  },
  'envoy.filters.http.ext_authz': {
    config: { httpService: { serverUri: { uri: 'http://authz', cluster: 'authz' } }, failureModeAllow: true, withRequestBody: { maxRequestBytes: 8 } },
    least: { httpService: { serverUri: { uri: 'http://authz', cluster: 'authz' } } },
    values: {
      'envoy.extensions.filters.http.ext_authz.v3.ExtAuthz': { transport_api_version: 'V2', status_on_error: { code: 'Unauthorized' }, with_request_body: { maxRequestBytes: 1 }, enable_dynamic_metadata_ingestion: false, deny_at_disable: { defaultValue: true, runtimeKey: 'a' }, filter_enabled: { defaultValue: { numerator: 0 } }, disallowed_headers: { patterns: [{ exact: 'a' }] } },
      'envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute': { check_settings: { contextExtensions: { a: 'b' } } },
    },
    otherRoute: { checkSettings: { withRequestBody: { maxRequestBytes: 2 } } },
  },
  'envoy.filters.http.jwt_authn': {
    config: {
      providers: { idp: { localJwks: { inlineString: '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}' } } },
      rules: [{ match: { prefix: '/', headers: [{ name: 'origin' }] }, requires: { providerName: 'idp' } }],
    },
    otherRoute: { disabled: true },
  },
  'envoy.filters.http.rbac': {
    config: { rules: { action: 'DENY', policies: { origins: { permissions: [{ header: { name: 'origin', presentMatch: true } }], principals: [{ any: true }] } } } },
    otherRoute: { rbac: {} },
  },
  'envoy.filters.http.grpc_web': { config: {} },
  'envoy.filters.http.grpc_http1_bridge': { config: {}, type: 'application/grpc' },
  'envoy.filters.http.grpc_stats': { config: {}, values: { 'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig': { individual_method_stats_allowlist: { services: [{ name: 'a', methodNames: ['b'] }] } } } },
  'envoy.filters.http.fault': {
    config: { abort: { httpStatus: 418, percentage: all }, headers: [{ name: 'origin' }] },
    values: { 'envoy.extensions.filters.http.fault.v3.HTTPFault': { delay: { fixedDelay: '1s', percentage: all }, abort: { httpStatus: 500 }, response_rate_limit: { fixedLimit: { limitKbps: 1 } }, headers: [{ name: 'a' }], max_active_faults: 0 } },
    otherRoute: { abort: { httpStatus: 429, percentage: all } },
  },
  'envoy.filters.http.cors': {
    config: {},
    values: { 'envoy.extensions.filters.http.cors.v3.CorsPolicy': { allow_origin_string_match: [{ exact: 'a' }], filter_enabled: { defaultValue: { numerator: 0 } }, shadow_enabled: { defaultValue: all }, forward_not_matching_preflights: false } },
    route: { allowOriginStringMatch: [{ exact: 'https://shop' }] },
    otherRoute: { allowOriginStringMatch: [{ exact: 'https://shop' }], exposeHeaders: 'x-a' },
  },
  'envoy.filters.http.csrf': {
    config: { filterEnabled: { defaultValue: all } },
    least: { filter_enabled: { defaultValue: all } },
    values: { 'envoy.extensions.filters.http.csrf.v3.CsrfPolicy': { filter_enabled: { defaultValue: { numerator: 0 } }, shadow_enabled: { defaultValue: all }, additional_origins: [{ exact: 'a' }] } },
    otherRoute: { filterEnabled: { defaultValue: all }, additionalOrigins: [{ exact: 'shop' }] },
  },
  'envoy.filters.http.local_ratelimit': {
    config: { ...rateLimit, statPrefix: 'a', responseHeadersToAdd: [{ header: { key: 'x-a', value: '1' } }] },
    least: { stat_prefix: 'a', token_bucket: bucket },
    values: {
      'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit': {
        status: { code: 'ServiceUnavailable' }, token_bucket: { ...bucket, maxTokens: 7 }, filter_enabled: rateLimit.filterEnabled, filter_enforced: rateLimit.filterEnabled, always_consume_default_token_bucket: false,
        descriptors: [{ entries: [{ key: 'a', value: 'b' }], tokenBucket: bucket }], request_headers_to_add_when_not_enforced: [{ header: { key: 'a', value: 'b' } }], response_headers_to_add: [{ header: { key: 'a', value: 'b' } }],
      },
    },
    otherRoute: { ...rateLimit, statPrefix: 'b', enableXRatelimitHeaders: 'DRAFT_VERSION_03' },
  },
  'envoy.filters.http.ratelimit': {
    config: rls,
    least: { domain: 'd', rate_limit_service: rls.rateLimitService },
    values: {
      'envoy.extensions.filters.http.ratelimit.v3.RateLimit': {
        request_type: 'internal', rate_limit_service: { ...rls.rateLimitService, grpcService: { envoyGrpc: { clusterName: 'other' } } }, rate_limited_status: { code: 'ServiceUnavailable' }, status_on_error: { code: 'ServiceUnavailable' },
        response_headers_to_add: [{ header: { key: 'a', value: 'b' } }],
      },
      'envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute': { override_option: 'INCLUDE_POLICY' },
    },
    otherRoute: { vhRateLimits: 'IGNORE' },
    shownApart: true,
  },
  'envoy.filters.http.buffer': {
    config: { maxRequestBytes: 100 },
    least: { max_request_bytes: 5 },
    values: { 'envoy.extensions.filters.http.buffer.v3.BufferPerRoute': { disabled: true, buffer: { maxRequestBytes: 7 } } },
    otherRoute: { buffer: { maxRequestBytes: 3 } },
  },
  'envoy.filters.http.compressor': {
    config: { compressorLibrary: gzip },
    least: { compressor_library: gzip },
    values: {
      'envoy.extensions.filters.http.compressor.v3.Compressor': {
        runtime_enabled: { defaultValue: false }, compressor_library: { ...gzip, name: 'other' }, response_direction_config: { disableOnEtagHeader: true },
      },
      'envoy.extensions.filters.http.compressor.v3.CompressorPerRoute': { disabled: true, overrides: { responseDirectionConfig: { removeAcceptEncodingHeader: true } } },
    },
    otherRoute: { disabled: true },
  },
  'envoy.filters.http.decompressor': {
    config: { decompressorLibrary: gunzip },
    least: { decompressor_library: gunzip },
    values: {
      'envoy.extensions.filters.http.decompressor.v3.Decompressor': {
        decompressor_library: { ...gunzip, name: 'other' }, request_direction_config: { advertiseAcceptEncoding: false }, response_direction_config: { commonConfig: { ignoreNoTransformHeader: true } },
      },
    },
  },
  'envoy.filters.http.header_mutation': {
    config: { mutations: { responseMutations: [{ append: { header: { key: 'x-a', value: '1' } } }] } },
    values: {
      'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation': { mutations: { requestMutations: [{ remove: 'a' }] } },
      'envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute': { mutations: { requestMutations: [{ remove: 'a' }] } },
    },
    otherRoute: { mutations: { responseMutations: [{ append: { header: { key: 'x-b', value: '2' } } }] } },
  },
  'envoy.filters.http.dynamic_forward_proxy': { config: { dnsCacheConfig: { name: 'c' } }, least: { dnsCacheConfig: { name: 'c' } }, otherRoute: { hostRewriteLiteral: 'other' }, shownApart: true },
  'istio.stats': { config: {}, values: { 'stats.PluginConfig': { metrics: [{ drop: true }], reporter: 'SERVER_GATEWAY' } } },
  'envoy.filters.http.router': { config: {}, values: { 'envoy.extensions.filters.http.router.v3.Router': { dynamic_stats: false, upstream_http_filters: [{ name: 'a' }], upstream_log: [{ name: 'a' }], upstream_log_options: { flushUpstreamLogOnUpstreamStream: true } } } },
};

const typeName = (typeUrl: string | undefined): string => (typeUrl ?? '').replace('type.googleapis.com/', '');
const ownType = (factory: HttpFilterFactory): string => typeName(factory.typeUrls[0]);
const memberOf = (factory: HttpFilterFactory): Member => members[factory.name] ?? assert.fail(`${factory.name} has no row in ${import.meta.filename}`);

test('the registry: every filter has a row, its types are its own, the terminal one is last', () => {
  assert.deepEqual(Object.keys(members), httpFilters.map(({ name }) => name));
  const types = httpFilters.flatMap(({ typeUrls, routeTypeUrls = [] }) => [...typeUrls, ...routeTypeUrls]);
  assert.equal(new Set(types).size, types.length);
  for (const type of types) assert.ok(messageRegistry().getMessage(typeName(type)), `${type} is a message we know`);
  assert.deepEqual(httpFilters.map(({ terminal }) => terminal === true), httpFilters.map((_, i) => i === httpFilters.length - 1));
});

interface Parsed {
  readonly result: Result<unknown>;
  readonly warned: readonly FieldError[];
}

type Parse = NonNullable<HttpFilterFactory['parseRoute']>;

/** The parsers of a filter with the messages they take. */
function parsersOf(factory: HttpFilterFactory): { name: string; parse: Parse }[] {
  const own = { name: ownType(factory), parse: (...args: Parameters<Parse>) => factory.parse(...args) };
  if (factory.parseRoute === undefined) return [own];
  return [own, { name: typeName((factory.routeTypeUrls ?? factory.typeUrls)[0]), parse: (...args: Parameters<Parse>) => factory.parseRoute?.(...args) ?? ok(null) }];
}

function parsed(parse: Parse, name: string, bytes: Uint8Array): Parsed {
  const warned: FieldError[] = [];
  const result = parse(bytes, { path: 'p', typeUrl: `type.googleapis.com/${name}`, warn: (path, message) => warned.push({ path, message }), extensions: filterExtensions() });
  return { result, warned };
}

/** A value that differs from the field's default. */
function madeUp(field: ReturnType<typeof fieldsOf>[number]): unknown {
  const scalar = (type: number | undefined) => (type === 8 ? true : type === 9 || type === 12 ? 'YQ==' : 3);
  switch (field.fieldKind) {
    case 'list':
      return [field.listKind === 'message' ? {} : field.listKind === 'enum' ? 1 : scalar(field.scalar)];
    case 'map':
      return { a: field.mapKind === 'message' ? {} : 'b' };
    case 'message':
      return wrapped(field.message.typeName);
    case 'enum':
      return 1;
    default:
      return scalar(field.scalar);
  }
}

/** JSON of well-known types is not an object. */
function wrapped(name: string): unknown {
  if (name === 'google.protobuf.Duration') return '3s';
  if (name === 'google.protobuf.BoolValue') return true;
  if (name === 'google.protobuf.Struct') return { a: 'b' };
  return /^google\.protobuf\.U?Int\d+Value$/.test(name) ? 3 : {};
}

function fieldsOf(name: string) {
  return messageRegistry().getMessage(name)?.fields ?? assert.fail(`no message ${name}`);
}

for (const factory of httpFilters) {
  const member = memberOf(factory);

  for (const { name, parse } of parsersOf(factory)) {
    test(`${factory.name}: every setting of ${name} is acted on, refused or warned of by name`, () => {
      const least = name === ownType(factory) ? member.least : {};
      const plain = parsed(parse, name, jsonToBinary(name, { ...least }));
      assert.ok(plain.result.ok, 'the least there is to set is a good config');
      assert.deepEqual(parsed(parse, name, jsonToBinary(name, { ...least })).result, plain.result, 'the same bytes give the same config');
      for (const field of fieldsOf(name)) {
        const value = member.values?.[name]?.[field.name] ?? madeUp(field);
        // Of a oneof the field takes the place of what least there is.
        const kept = Object.entries(least ?? {}).filter(([name]) => !(field.oneof?.fields ?? []).some(({ jsonName }) => jsonName === name));
        const { result, warned } = parsed(parse, name, jsonToBinary(name, { ...Object.fromEntries(kept), [field.name]: value }));
        const named = [...warned, ...(result.ok ? [] : result.error)].some(({ path }) => path === 'p' || path.startsWith(`p.${field.name}`));
        const acted: boolean = result.ok && !sameValue(result.value, plain.result.value);
        assert.ok(named || acted, `${field.name}: ${JSON.stringify(value)} is silently left out`);
      }
    });

    test(`${factory.name}: no bytes make the parser of ${name} throw but such as are no message at all`, () => {
      const good = Buffer.from(jsonToBinary(name, name === ownType(factory) ? member.config : (member.otherRoute ?? {})));
      const bent = fc.array(fc.tuple(fc.nat(Math.max(0, good.length - 1)), fc.nat(255)), { maxLength: 4 }).map((edits) => {
        const bytes = Buffer.from(good);
        for (const [at, byte] of edits) if (bytes.length > 0) bytes[at] = byte;
        return bytes;
      });
      fc.assert(fc.property(fc.oneof(bent, fc.uint8Array({ maxLength: 64 })), (bytes) => {
        try {
          parsed(parse, name, bytes);
        } catch (error) {
          // The decoder's: the compiler of resources answers it with the path.
          assert.ok(error instanceof Error);
          assert.match(error.stack?.split('\n    at ')[1] ?? '', /@bufbuild\/protobuf|\/api\/src\/gen\//, error.stack ?? '');
        }
      }), { numRuns: 200 });
    });
  }

  test(`${factory.name}: streams side by side get what each gets alone`, () => {
    const alone = [0, 1].map((which) => {
      const served = servedWith(factory);
      return answered(served, [exchange(served, which, member)])[0];
    });
    const together = servedWith(factory);
    assert.deepEqual(answered(together, [exchange(together, 0, member), exchange(together, 1, member)]), alone);
    assert.deepEqual(together.bugs, []);
  });

  test(`${factory.name}: one that throws ends its own stream and no other`, (t) => {
    for (const method of hooks) {
      const served = servedThrowing(factory, method, t);
      if (served === null) continue;
      const before = served.bugs.length;
      const [first] = answered(served, [exchange(served, 1, member)]);
      assert.equal(served.bugs.length - before, 1, `${method} was called and its error told once`);
      assert.equal(served.done.length, 1, `${method}: the stream ended`);
      assert.ok(first !== undefined);
      const [second] = answered(served, [exchange(served, 0, member)]);
      assert.match(second ?? '', /^HTTP\/1\.1 200 /, `${method}: the next stream is served`);
    }
  });

  if (factory.terminal !== true) {
    test(`${factory.name}: a route can switch it off`, (t) => {
      let created = 0;
      spyOnBind(t, factory, (config) => ({ ...config, create: (stream) => (created++, config.create(stream)) }));
      const off = { typedPerFilterConfig: { [factory.name]: { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true } } };
      for (const [route, times] of [[undefined, 1], [off, 0]] as const) {
        created = 0;
        const served = servedWith(factory, route);
        answered(served, [exchange(served, 0, member)]);
        assert.equal(created, times);
      }
    });
  }

  if (factory.parseRoute !== undefined && member.shownApart !== true) {
    test(`${factory.name}: a route's settings are the ones in force`, () => {
      assert.ok(member.otherRoute);
      const [plain, changed] = [servedWith(factory), servedWith(factory, routeSettings(factory, member.otherRoute))].map((served) => answered(served, [exchange(served, 1, member)])[0]);
      assert.notEqual(changed, plain);
    });
  }
}

/** By values; functions (compiled matchers) by the text they came from. */
function sameValue(a: unknown, b: unknown): boolean {
  try {
    assert.deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

function routeSettings(factory: HttpFilterFactory, settings: Json | undefined): Json {
  const name = parsersOf(factory)[1]?.name;
  return settings === undefined || name === undefined ? {} : { typedPerFilterConfig: { [factory.name]: { '@type': `type.googleapis.com/${name}`, ...settings } } };
}

function servedWith(factory: HttpFilterFactory, route: Json = routeSettings(factory, memberOf(factory).route)): Served {
  const filters = factory.terminal === true ? [] : [filterJson(factory.name, ownType(factory), memberOf(factory).config)];
  return new Served({ filters, routes: [routeToApp(route)] });
}

const requestOf = (which: number, type = 'application/grpc-web') => (which === 0 ? requestText('/a') : requestText('/b', ['origin: https://shop', `content-type: ${type}`, 'content-length: 4'], 'POST'));

/** Sends a request on a connection of its own; the body of the second one follows when all have begun. */
function exchange(served: Served, which: number, { type }: Member) {
  const { wire } = served.connect();
  wire.receive(requestOf(which, type));
  return { wire, body: which === 1 ? 'body' : '' };
}

/** What each client got in the end. The backend answers the youngest request first. */
function answered(served: Served, exchanges: readonly ReturnType<typeof exchange>[]): string[] {
  for (const { wire, body } of exchanges) if (body !== '' && !wire.closed) wire.receive(body);
  // What a filter's own call put off to the end of the turn.
  served.clock.advance(0);
  for (const request of served.backend.requests.splice(0).toReversed()) if (!request.wasReset) request.respond(200, ['x-path', request.head.path], `${request.head.path} ${request.body}`);
  return exchanges.map(({ wire }) => wire.sent);
}

const hooks = ['create', 'decodeHead', 'decodeData', 'decodeEnd', 'encodeHead', 'encodeData', 'encodeEnd', 'complete', 'destroy'] as const;

/** The filter, which throws in this method of its first stream; null when it is never called there. */
function servedThrowing(factory: HttpFilterFactory, method: (typeof hooks)[number], t: TestContextLike): Served | null {
  let thrown = false;
  let wanted = true;
  const throwOnce = (): void => {
    if (thrown) return;
    thrown = true;
    throw new Error(`${factory.name} ${method}`);
  };
  spyOnBind(t, factory, (config) => {
    wanted = method === 'create' || (config.events & FilterEvents[method]) !== 0;
    return {
      events: config.events,
      create(stream) {
        if (method === 'create') throwOnce();
        const filter = config.create(stream);
        return filter === null || method === 'create' ? filter : throwing(filter, method, throwOnce);
      },
    };
  });
  const served = servedWith(factory);
  return wanted ? served : null;
}

function throwing(filter: HttpStreamFilter, method: Exclude<(typeof hooks)[number], 'create'>, throwOnce: () => void): HttpStreamFilter {
  return new Proxy(filter, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (property === method) throwOnce();
        return Reflect.apply(value, target, args);
      };
    },
  });
}

interface TestContextLike {
  after(fn: () => void): void;
}

/** Every chain that binds this filter until the test ends gets `change` of it. */
function spyOnBind(t: TestContextLike, factory: HttpFilterFactory, change: (config: HttpFilterConfig) => HttpFilterConfig): void {
  const bind = factory.bind.bind(factory);
  const spy = mock.method(factory, 'bind', (...args: Parameters<HttpFilterFactory['bind']>) => change(bind(...args)));
  t.after(() => spy.mock.restore());
}
