import type { Config, DestinationRuleSpec, MeshConfigSpec, Subset, TrafficPolicy } from '@meltemi/config';
import { selects } from '../registry/workloads.ts';
import { isVisible, mostSpecificHost, resolveHost } from './hosts.ts';
import { byAge } from './virtual-services.ts';

/** One or several DestinationRules of a namespace for one host, merged. */
export interface DestinationRule {
  /** The oldest rule's name. */
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  readonly exportTo: readonly string[];
  readonly trafficPolicy?: TrafficPolicy;
  readonly subsets: readonly Subset[];
  /** Labels of the client; empty selects every client. */
  readonly selector: Readonly<Record<string, string>>;
}

/** namespace → host → rules (several when selectors or exportTo differ), oldest first. */
export type DestinationRuleIndex = ReadonlyMap<string, ReadonlyMap<string, readonly DestinationRule[]>>;

/** Who asks for a rule. */
export interface RuleClient {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Merges rules of one host and namespace: first definition of a subset and the first top-level policy win. */
export function indexDestinationRules(configs: readonly Config<DestinationRuleSpec>[], context: { readonly mesh: MeshConfigSpec; readonly domain: string }): DestinationRuleIndex {
  const index = new Map<string, Map<string, DestinationRule[]>>();
  for (const config of configs.toSorted(byAge)) {
    const rule = resolved(config, context);
    const byHost = index.get(rule.namespace) ?? new Map<string, DestinationRule[]>();
    index.set(rule.namespace, byHost);
    const list = byHost.get(rule.host) ?? [];
    const same = list.findIndex((other) => sameAudience(other, rule));
    const existing = list[same];
    byHost.set(rule.host, existing ? list.with(same, merged(existing, rule)) : [...list, rule]);
  }
  return index;
}

/**
 * The rule for `service`, asked by `client`. Looks in the client's namespace, the service's, then the root namespace; in each the exact host
 * beats wildcards. Rules of other namespaces count when exported to the client's. Source: Istio's push_context.go destinationRule.
 */
export function findDestinationRule(
  index: DestinationRuleIndex,
  target: { readonly hostname: string; readonly namespace: string },
  client: RuleClient,
  rootNamespace: string,
): DestinationRule | undefined {
  const places = client.namespace === rootNamespace ? [client.namespace, target.namespace] : [client.namespace, target.namespace, rootNamespace];
  for (const namespace of new Set(places)) {
    const onlyPrivate = client.namespace === rootNamespace && namespace === rootNamespace && target.namespace !== rootNamespace;
    const found = lookUp(index, namespace, target.hostname, (rule) => isVisible(rule.exportTo, namespace, client.namespace) && (!onlyPrivate || isPrivate(rule)), client);
    if (found) return found;
  }
  return client.namespace === rootNamespace ? lookUp(index, rootNamespace, target.hostname, () => true, client) : undefined;
}

function lookUp(index: DestinationRuleIndex, namespace: string, hostname: string, accepts: (rule: DestinationRule) => boolean, client: RuleClient): DestinationRule | undefined {
  const byHost = index.get(namespace);
  if (!byHost) return undefined;
  const usable = (rules: readonly DestinationRule[] | undefined): DestinationRule | undefined => {
    const fitting = rules?.filter((rule) => accepts(rule) && selectsClient(rule, client, namespace));
    return fitting?.find((rule) => Object.keys(rule.selector).length > 0) ?? fitting?.[0];
  };
  const exact = usable(byHost.get(hostname));
  if (exact) return exact;
  const covering = wildcardsOf(byHost).filter((host) => usable(byHost.get(host)));
  const host = mostSpecificHost(hostname, covering);
  return host === undefined ? undefined : usable(byHost.get(host));
}

const wildcards = new WeakMap<ReadonlyMap<string, unknown>, readonly string[]>();

/** The hosts of a namespace's rules that start with "*": few, where exact ones may be thousands. */
function wildcardsOf(byHost: ReadonlyMap<string, unknown>): readonly string[] {
  const known = wildcards.get(byHost) ?? [...byHost.keys()].filter((host) => host.startsWith('*'));
  wildcards.set(byHost, known);
  return known;
}

/** A selector works in its own namespace only. */
function selectsClient(rule: DestinationRule, client: RuleClient, namespace: string): boolean {
  if (Object.keys(rule.selector).length === 0) return true;
  return client.namespace === namespace && selects(rule.selector, client.labels);
}

function isPrivate(rule: DestinationRule): boolean {
  return rule.exportTo.length === 1 && rule.exportTo[0] === '.';
}

function resolved(config: Config<DestinationRuleSpec>, context: { readonly mesh: MeshConfigSpec; readonly domain: string }): DestinationRule {
  const { meta, spec } = config;
  return {
    name: meta.name,
    namespace: meta.namespace,
    host: resolveHost(spec.host, meta.namespace, context.domain),
    exportTo: spec.exportTo.length > 0 ? spec.exportTo : context.mesh.defaultDestinationRuleExportTo,
    ...(spec.trafficPolicy ? { trafficPolicy: spec.trafficPolicy } : {}),
    subsets: spec.subsets,
    selector: spec.workloadSelector?.matchLabels ?? {},
  };
}

function sameAudience(a: DestinationRule, b: DestinationRule): boolean {
  const text = (rule: DestinationRule) => JSON.stringify([rule.exportTo.toSorted(), Object.keys(rule.selector).toSorted().map((key) => [key, rule.selector[key]])]);
  return text(a) === text(b);
}

function merged(first: DestinationRule, later: DestinationRule): DestinationRule {
  const known = new Set(first.subsets.map((subset) => subset.name));
  const trafficPolicy = first.trafficPolicy ?? later.trafficPolicy;
  return { ...first, subsets: [...first.subsets, ...later.subsets.filter((subset) => !known.has(subset.name))], ...(trafficPolicy ? { trafficPolicy } : {}) };
}
