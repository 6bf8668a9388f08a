import type { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { ok, type FieldError, type Result } from '@meltemi/base';
import { pathOf, type FormatOptions, type RequestHead, type StreamInfo } from '@meltemi/http';
import { compileVirtualHost, type CompiledVirtualHost } from './compile-virtual-host.ts';
import { checkFields } from './fields.ts';
import { routeConfigurationFields } from './field-tables.ts';
import { compileMirrors } from './forward-action.ts';
import { compileHeaderLevel } from './header-ops.ts';
import { compilePerFilter } from './per-filter.ts';
import { Report } from './report.ts';
import type { RuleIndex } from './rule-index.ts';
import type { PerFilterParser, RouteMatch, RouteTable, VirtualHost } from './types.ts';
import { stripPort, VirtualHostIndex } from './virtual-host-index.ts';

/** Envoy's max_direct_response_body_size_bytes when unset. */
const defaultDirectBodyBytes = 4096;

/** Compiles a RouteConfiguration, or names everything in it that cannot be run. `parsePerFilter` reads filters' settings per route; without it they are kept as Any. */
export function compileRouteTable(config: RouteConfiguration, parsePerFilter: PerFilterParser = (_name, any) => ok(any), formats: FormatOptions = {}): Result<RouteTable> {
  const report = new Report(formats);
  checkFields(config, routeConfigurationFields, '', report);
  const scope = {
    headers: compileHeaderLevel(config, '', report),
    perFilter: compilePerFilter(config.typedPerFilterConfig, new Map(), parsePerFilter, { path: '', report }),
    mirrors: compileMirrors(config.requestMirrorPolicies, 'request_mirror_policies', report),
    maxDirectBodyBytes: config.maxDirectResponseBodySizeBytes ?? defaultDirectBodyBytes,
    mostSpecificWins: config.mostSpecificHeaderMutationsWins,
    parsePerFilter, report,
  };
  const hosts = config.virtualHosts.map((host, i) => compileVirtualHost(host, scope, `virtual_hosts[${i}]`));
  const index = indexHosts(hosts, report);
  return report.finish(new Table(config, hosts, index, report.warnings));
}

function indexHosts(hosts: readonly CompiledVirtualHost[], report: Report): VirtualHostIndex<CompiledVirtualHost> {
  const index = new VirtualHostIndex<CompiledVirtualHost>();
  const names = new Set<string>();
  for (const [i, host] of hosts.entries()) {
    if (names.has(host.name)) report.refuse(`virtual_hosts[${i}].name`, `"${host.name}" is the name of another virtual host too`);
    names.add(host.name);
    for (const [j, domain] of host.domains.entries()) {
      const path = `virtual_hosts[${i}].domains[${j}]`;
      const added = index.add(domain, host);
      if (added === 'duplicate') report.refuse(path, `"${domain}" is listed twice: only one virtual host can answer for it`);
      else if (added === 'invalid') report.refuse(path, `"${domain}" is no domain: a "*" may stand at its beginning or end only`);
    }
  }
  return index;
}

class Table implements RouteTable {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
  readonly clusterNames: ReadonlySet<string>;
  readonly internalOnlyHeaders: readonly string[];
  readonly warnings: readonly FieldError[];
  readonly #index: VirtualHostIndex<CompiledVirtualHost>;
  readonly #ignorePort: boolean;
  readonly #ignoreParameters: boolean;

  constructor(config: RouteConfiguration, hosts: readonly CompiledVirtualHost[], index: VirtualHostIndex<CompiledVirtualHost>, warnings: readonly FieldError[]) {
    this.name = config.name;
    this.virtualHosts = hosts;
    this.internalOnlyHeaders = config.internalOnlyHeaders.map((name) => name.toLowerCase());
    this.clusterNames = collectClusters(hosts);
    this.warnings = warnings;
    this.#index = index;
    this.#ignorePort = config.ignorePortInHostMatching;
    this.#ignoreParameters = config.ignorePathParametersInPathMatching;
  }

  match(request: RequestHead, random: number, info: StreamInfo | null): RouteMatch | null {
    const host = this.#find(request.authority);
    if (host === null) return null;
    if (host.requireTls !== 'none' && needsTls(host, request)) return tlsRedirect;
    const chosen = host.matcher === null ? host : host.matcher.match(request);
    if (chosen === null) return null;
    let path = pathOf(request.path);
    if (this.#ignoreParameters) {
      const semicolon = path.indexOf(';');
      if (semicolon >= 0) path = path.slice(0, semicolon);
    }
    if (chosen.index !== null) return matchIndexed(chosen.rules, chosen.index, { request, path, random, info });
    const rules = chosen.rules;
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i];
      if (rule !== undefined && rule.matches(request, path, random, info)) return rule.choose(random);
    }
    return null;
  }

  virtualHostOf(authority: string): VirtualHost | null {
    return this.#find(authority);
  }

  #find(authority: string): CompiledVirtualHost | null {
    return this.#index.find(this.#ignorePort ? stripPort(authority) : authority);
  }
}

interface Asked {
  readonly request: RequestHead;
  readonly path: string;
  readonly random: number;
  readonly info: StreamInfo | null;
}

/** Two ascending lists of rule numbers, merged on the way. */
function matchIndexed(rules: CompiledVirtualHost['rules'], index: RuleIndex, { request, path, random, info }: Asked): RouteMatch | null {
  const found = index.candidates(path);
  const always = index.always;
  let i = 0;
  let j = 0;
  while (i < found.length || j < always.length) {
    const a = found[i] ?? Infinity;
    const b = always[j] ?? Infinity;
    const rule = rules[a < b ? a : b];
    if (a < b) i++;
    else j++;
    if (rule !== undefined && rule.matches(request, path, random, info)) return rule.choose(random);
  }
  return null;
}

function needsTls(host: VirtualHost, request: RequestHead): boolean {
  if ((request.headers.get('x-forwarded-proto') ?? request.scheme) === 'https') return false;
  return host.requireTls === 'all' || request.headers.get('x-envoy-internal') !== 'true';
}

/** require_tls: the same URL under https. */
const tlsRedirect: RouteMatch = {
  routeName: '', virtualHostName: '',
  action: { kind: 'redirect', status: 301, scheme: 'https', host: null, port: null, path: null, stripQuery: false },
  requestHeaders: [], responseHeaders: [], perFilter: new Map(), metadata: null, decoratorOperation: null, decoratorPropagate: true, tracing: null, statPrefix: '', rateLimits: null, virtualClusters: [],
};

function collectClusters(hosts: readonly CompiledVirtualHost[]): Set<string> {
  const names = new Set<string>();
  for (const host of hosts) {
    for (const rule of host.rules) {
      for (const { action } of rule.outcomes) {
        if (action.kind !== 'forward') continue;
        if (action.cluster !== null) names.add(action.cluster);
        for (const mirror of action.mirrors) if (mirror.cluster !== null) names.add(mirror.cluster);
      }
    }
  }
  return names;
}
