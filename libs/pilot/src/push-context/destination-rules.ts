import { selects, type Config, type DestinationRuleSpec, type MeshConfigSpec, type Subset, type TrafficPolicy } from '@meltemi/config';
import { mostSpecificHost, resolveHost } from './hosts.ts';
import { byAge } from './virtual-services.ts';

/** One or several DestinationRules of a namespace for one host, merged. */
export interface DestinationRule {
  /** The first rule's name. */
  readonly name: string;
  readonly namespace: string;
  /** Names of all rules that were merged, the first one's included. */
  readonly from: readonly string[];
  readonly host: string;
  /** As written; empty is the mesh's default. A rule with a selector is its own namespace's alone. */
  readonly exportTo: readonly string[];
  readonly trafficPolicy?: TrafficPolicy;
  readonly subsets: readonly Subset[];
  /** Labels of the client; absent selects every client. */
  readonly selector?: Readonly<Record<string, string>>;
}

/** host → rules (several when selectors or exportTo differ): those with selectors first, then oldest first. */
type HostRules = ReadonlyMap<string, readonly DestinationRule[]>;

/** By namespace of the rule. Source: Istio's push_context.go setDestinationRules. */
export interface DestinationRuleIndex {
  /** For clients of the same namespace. */
  readonly local: ReadonlyMap<string, HostRules>;
  /** For clients elsewhere. */
  readonly exported: ReadonlyMap<string, HostRules>;
  /** Rules of the root namespace that no other may see. */
  readonly rootPrivate: HostRules;
}

/** Who asks for a rule. */
export interface RuleClient {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Merges rules of one host and namespace: first definition of a subset and the first top-level policy win. */
export function indexDestinationRules(configs: readonly Config<DestinationRuleSpec>[], context: { readonly mesh: MeshConfigSpec; readonly domain: string }): DestinationRuleIndex {
  const local = new Map<string, Map<string, DestinationRule[]>>();
  const exported = new Map<string, Map<string, DestinationRule[]>>();
  const rootPrivate = new Map<string, DestinationRule[]>();
  for (const config of configs.toSorted(selectorsFirst)) {
    const rule = resolved(config, context.domain);
    if (isForItsNamespace(rule)) add(placeOf(local, rule.namespace), rule);
    if (!isPrivate(rule, context.mesh)) add(placeOf(exported, rule.namespace), rule);
    else if (rule.namespace === context.mesh.rootNamespace) add(rootPrivate, rule);
  }
  return { local, exported, rootPrivate };
}

/** All rules of the index, each merged one once per place it stands in. */
export function everyDestinationRule({ local, exported, rootPrivate }: DestinationRuleIndex): DestinationRule[] {
  return [...local.values(), ...exported.values(), rootPrivate].flatMap((byHost) => [...byHost.values()].flat());
}

/**
 * The rule for `service`, asked by `client`. Looks in the client's namespace, the service's, then the root namespace; the first that has a
 * rule for the host decides, and in it the exact host beats wildcards. Clients of the root namespace look at its private rules first, so that
 * rules meant for the whole mesh do not hide the service's own. Source: Istio's push_context.go destinationRule.
 */
export function findDestinationRule(
  index: DestinationRuleIndex,
  target: { readonly hostname: string; readonly namespace: string },
  client: RuleClient,
  rootNamespace: string,
): DestinationRule | undefined {
  const own = client.namespace === rootNamespace ? index.rootPrivate : index.local.get(client.namespace);
  const found = lookUp(own, target.hostname) ?? exportedRules(index, target.namespace, target, client) ?? exportedRules(index, rootNamespace, target, client);
  return found && chosen(found, client);
}

/** The rules of the best fitting host; undefined when no host fits. */
function lookUp(byHost: HostRules | undefined, hostname: string): readonly DestinationRule[] | undefined {
  if (!byHost) return undefined;
  const exact = byHost.get(hostname);
  if (exact) return exact;
  const host = mostSpecificHost(hostname, wildcardsOf(byHost));
  return host === undefined ? undefined : byHost.get(host);
}

/** A host whose rules are all for others hides less specific ones, as in Istio. */
function exportedRules(index: DestinationRuleIndex, namespace: string, target: { readonly hostname: string }, client: RuleClient): readonly DestinationRule[] | undefined {
  const visible = lookUp(index.exported.get(namespace), target.hostname)?.filter(({ exportTo }) => exportTo.length === 0 || exportTo.includes('*') || exportTo.includes(client.namespace));
  return visible !== undefined && visible.length > 0 ? visible : undefined;
}

/** The first rule that selects the client, else the last one without a selector. */
function chosen(rules: readonly DestinationRule[], client: RuleClient): DestinationRule | undefined {
  const selecting = rules.find(({ selector, namespace }) => selector !== undefined && namespace === client.namespace && selects(selector, client.labels));
  return selecting ?? rules.findLast(({ selector }) => selector === undefined);
}

const wildcards = new WeakMap<ReadonlyMap<string, unknown>, readonly string[]>();

/** The hosts of a namespace's rules that start with "*": few, where exact ones may be thousands. */
function wildcardsOf(byHost: ReadonlyMap<string, unknown>): readonly string[] {
  const known = wildcards.get(byHost) ?? [...byHost.keys()].filter((host) => host.startsWith('*'));
  wildcards.set(byHost, known);
  return known;
}

function selectorsFirst(a: Config<DestinationRuleSpec>, b: Config<DestinationRuleSpec>): number {
  return Number(a.spec.workloadSelector === undefined) - Number(b.spec.workloadSelector === undefined) || byAge(a, b);
}

function isForItsNamespace({ exportTo, namespace }: DestinationRule): boolean {
  return exportTo.length === 0 || exportTo.includes('*') || exportTo.includes('.') || exportTo.includes(namespace);
}

/** Nobody outside of its namespace sees it. */
function isPrivate({ exportTo, namespace }: DestinationRule, mesh: MeshConfigSpec): boolean {
  if (exportTo.length === 0) return mesh.defaultDestinationRuleExportTo.includes('.');
  return exportTo.length === 1 && (exportTo[0] === '.' || exportTo[0] === namespace);
}

const resolvedRules = new WeakMap<Config<DestinationRuleSpec>, { readonly domain: string; readonly rule: DestinationRule }>();

/** The same object for the same object: what is made from it is kept by its identity. */
function resolved(config: Config<DestinationRuleSpec>, domain: string): DestinationRule {
  const before = resolvedRules.get(config);
  if (before?.domain === domain) return before.rule;
  const rule = resolve(config, domain);
  resolvedRules.set(config, { domain, rule });
  return rule;
}

function resolve({ meta, spec }: Config<DestinationRuleSpec>, domain: string): DestinationRule {
  const selector = spec.workloadSelector?.matchLabels;
  return {
    name: meta.name,
    namespace: meta.namespace,
    from: [meta.name],
    host: resolveHost(spec.host, meta.namespace, domain),
    exportTo: spec.workloadSelector ? ['.'] : [...new Set(spec.exportTo)],
    ...(spec.trafficPolicy ? { trafficPolicy: spec.trafficPolicy } : {}),
    subsets: spec.subsets,
    ...(selector ? { selector } : {}),
  };
}

function placeOf(byNamespace: Map<string, Map<string, DestinationRule[]>>, namespace: string): Map<string, DestinationRule[]> {
  const place = byNamespace.get(namespace) ?? new Map<string, DestinationRule[]>();
  byNamespace.set(namespace, place);
  return place;
}

function add(byHost: Map<string, DestinationRule[]>, rule: DestinationRule): void {
  const list = byHost.get(rule.host) ?? [];
  const same = list.findIndex((other) => audience(other) === audience(rule));
  const existing = list[same];
  byHost.set(rule.host, existing ? list.with(same, merged(existing, rule)) : [...list, rule]);
}

function audience({ exportTo, selector }: DestinationRule): string {
  return JSON.stringify([exportTo.toSorted(), selector === undefined ? null : Object.entries(selector).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
}

const mergedRules = new WeakMap<DestinationRule, WeakMap<DestinationRule, DestinationRule>>();

/** The same object each time: who sees the rule at home and who sees it from elsewhere share what is made of it. */
function merged(first: DestinationRule, later: DestinationRule): DestinationRule {
  const ofFirst = mergedRules.get(first) ?? new WeakMap<DestinationRule, DestinationRule>();
  mergedRules.set(first, ofFirst);
  const made = ofFirst.get(later) ?? newlyMerged(first, later);
  ofFirst.set(later, made);
  return made;
}

function newlyMerged(first: DestinationRule, later: DestinationRule): DestinationRule {
  const known = new Set(first.subsets.map((subset) => subset.name));
  const trafficPolicy = first.trafficPolicy ?? later.trafficPolicy;
  return {
    ...first,
    from: [...first.from, ...later.from],
    subsets: [...first.subsets, ...later.subsets.filter((subset) => !known.has(subset.name))],
    ...(trafficPolicy ? { trafficPolicy } : {}),
  };
}
