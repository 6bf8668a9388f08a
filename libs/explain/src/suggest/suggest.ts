import type { Features } from '@meltemi/pilot';
import type { LoadedMesh } from '../load.ts';
import { Judge } from './judge.ts';
import { isDoubtful, unwritable, type Observation } from './observation.ts';
import { rulesOf, sum, type RuleOptions, type SuggestedRule } from './rules.ts';
import { workloadGroups, type WorkloadGroup } from './workload-groups.ts';

/** What to do for workloads that plaintext callers reach: nothing, leave those callers out, or name them by their addresses. */
export type Plaintext = 'keep' | 'refuse' | 'address';

export interface SuggestOptions extends RuleOptions {
  /** Only workloads of this namespace. */
  readonly namespace?: string | undefined;
  readonly plaintext: Plaintext;
  /** Leave out what was seen less often. */
  readonly minRequests: number;
  /** Leave out what the application only ever answered with 4xx. */
  readonly withoutDoubtful: boolean;
  /** An ALLOW policy without rules for every namespace with suggestions. */
  readonly denyAll: boolean;
  /** Policies that are watched, not in force. */
  readonly dryRun: boolean;
  /** Wall clock. */
  readonly nowMs: number;
  readonly features?: Features | undefined;
}

export interface SuggestedPolicy {
  readonly name: string;
  readonly group: WorkloadGroup;
  readonly rules: readonly SuggestedRule[];
  readonly requests: number;
  readonly distinct: number;
  /** Members of the group that nobody was seen to reach. */
  readonly silent: readonly string[];
  readonly doubtful: readonly Observation[];
}

/** An observation without a rule. */
export interface LeftOut {
  readonly observation: Observation;
  readonly why: string;
  /** The options asked for it. */
  readonly wanted: boolean;
}

export interface Suggestion {
  readonly policies: readonly SuggestedPolicy[];
  /** Namespaces that get an ALLOW policy without rules. */
  readonly denyAll: readonly string[];
  readonly leftOut: readonly LeftOut[];
  /** Groups that stay as they are because of their plaintext callers. */
  readonly kept: readonly { readonly group: WorkloadGroup; readonly callers: readonly Observation[] }[];
  /** Groups that nobody was seen to reach. */
  readonly unseen: readonly WorkloadGroup[];
  /** Observations that today's policies refuse. */
  readonly refused: readonly Observation[];
  readonly dryRun: boolean;
}

/** Least-privilege ALLOW policies for what was observed and is allowed today. */
export function suggest(mesh: LoadedMesh, observed: readonly Observation[], options: SuggestOptions): Suggestion {
  const judge = new Judge(mesh, options);
  const groups = workloadGroups(mesh, judge.views.push).filter(({ namespace }) => options.namespace === undefined || namespace === options.namespace);
  const groupOf = new Map(groups.flatMap((group) => group.workloads.map((workload) => [workload, group] as const)));
  const leftOut: LeftOut[] = [];
  const refused: Observation[] = [];
  const byGroup = new Map<WorkloadGroup, Observation[]>();
  for (const observation of observed) {
    const group = groupOf.get(observation.workload);
    if (group === undefined) {
      if (options.namespace === undefined || observation.workload.startsWith(`${options.namespace}/`)) leftOut.push({ observation, why: 'no policy can select its workload: the mesh does not know it, or it has no labels', wanted: false });
    } else if (observation.denied || judge.judge(observation)?.allowed === false) refused.push(observation);
    else byGroup.set(group, [...(byGroup.get(group) ?? []), observation]);
  }
  const kept: { group: WorkloadGroup; callers: Observation[] }[] = [];
  const policies = [...byGroup].flatMap(([group, own]): SuggestedPolicy[] => {
    const callers = own.filter(({ principal }) => principal === '');
    if (options.plaintext === 'keep' && callers.length > 0) {
      kept.push({ group, callers });
      return [];
    }
    const [used, unused] = sorted(own, options);
    leftOut.push(...unused);
    // a policy without rules would refuse everybody: nobody asked for that
    if (used.length === 0) return [];
    return [policyOf(group, used, { options, refused: refused.filter(({ workload }) => group.workloads.includes(workload)) })];
  });
  return {
    policies: policies.toSorted((a, b) => (`${a.group.namespace}/${a.name}` < `${b.group.namespace}/${b.name}` ? -1 : 1)),
    denyAll: options.denyAll ? [...new Set(policies.map(({ group }) => group.namespace))].toSorted() : [],
    leftOut, kept, unseen: groups.filter((group) => !byGroup.has(group)), refused, dryRun: options.dryRun,
  };
}

/** What gets a rule, and what does not. */
function sorted(observed: readonly Observation[], options: SuggestOptions): [Observation[], LeftOut[]] {
  const used: Observation[] = [];
  const unused: LeftOut[] = [];
  for (const observation of observed) {
    const wanted = observation.count < options.minRequests ? `seen fewer than ${options.minRequests} times`
      : options.withoutDoubtful && isDoubtful(observation) ? 'the application never answered it with anything but 4xx'
        : options.plaintext === 'refuse' && observation.principal === '' ? 'its caller spoke plaintext' : undefined;
    const why = wanted ?? unwritable(observation, options.hosts);
    if (why === undefined) used.push(observation);
    else unused.push({ observation, why, wanted: wanted !== undefined });
  }
  return [used, unused];
}

function policyOf(group: WorkloadGroup, used: readonly Observation[], { options, refused }: { readonly options: SuggestOptions; readonly refused: readonly Observation[] }): SuggestedPolicy {
  const reached = new Set(used.map(({ workload }) => workload));
  return {
    name: `${group.name}-observed`, group, rules: rulesOf(used, refused, options), requests: sum(used), distinct: used.length,
    silent: group.workloads.filter((workload) => !reached.has(workload)), doubtful: used.filter(isDoubtful),
  };
}
