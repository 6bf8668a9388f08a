import type { Features } from '@meltemi/pilot';
import { laidOver } from '../diff.ts';
import { loadMesh, type LoadedMesh, type SetAside } from '../load.ts';
import { Judge } from './judge.ts';
import type { Observation } from './observation.ts';
import type { Suggestion, SuggestedPolicy } from './suggest.ts';
import { policiesText } from './policies-text.ts';

/** What one more access would find, before and after: nobody was seen to try it. */
export interface Probe {
  /** "somebody-else, with a certificate of the mesh" */
  readonly what: string;
  readonly policy: string;
  readonly allowedBefore: boolean;
  readonly allowedAfter: boolean;
}

/** Every observation judged by the mesh as it is, and with the suggestion in force. */
export interface Proof {
  readonly distinct: number;
  readonly requests: number;
  /** Allowed before and after. */
  readonly pass: number;
  /** Allowed today, refused then, and nobody asked for it. */
  readonly broken: readonly Observation[];
  /** Allowed today, refused then, because the options left them out. */
  readonly wanted: readonly Observation[];
  /** Refused, today and then. */
  readonly stayRefused: number;
  /** Refused today, allowed then. */
  readonly opened: readonly Observation[];
  /** At workloads that the mesh does not know any more. */
  readonly unknown: number;
  readonly probes: readonly Probe[];
  /** Suggested objects that would not be taken. */
  readonly setAside: readonly SetAside[];
}

export function holds({ broken, opened, setAside }: Proof): boolean {
  return broken.length + opened.length + setAside.length === 0;
}

/** Judges by the policies' own text, as `meltemi apply` would read it; those of a dry run as if they were in force. */
export function prove(mesh: LoadedMesh, observed: readonly Observation[], suggestion: Suggestion, options: { readonly nowMs: number; readonly features?: Features | undefined }): Proof {
  const update = loadMesh([{ name: 'suggested.yaml', text: policiesText({ ...suggestion, dryRun: false }) }]);
  const [before, after] = [new Judge(mesh, options), new Judge(laidOver(mesh, update), options)];
  const wanted = new Set(suggestion.leftOut.filter((one) => one.wanted).map(({ observation }) => observation));
  const refusedThen = { broken: [] as Observation[], wanted: [] as Observation[], opened: [] as Observation[] };
  const counts = { pass: 0, stayRefused: 0, unknown: 0 };
  for (const one of observed) {
    const [was, becomes] = [before.judge(one), after.judge(one)];
    if (was === undefined || becomes === undefined) counts.unknown += 1;
    else if (one.denied || !was.allowed) {
      if (becomes.allowed && !was.allowed) refusedThen.opened.push(one);
      else counts.stayRefused += 1;
    } else if (becomes.allowed) counts.pass += 1;
    else (wanted.has(one) ? refusedThen.wanted : refusedThen.broken).push(one);
  }
  return {
    distinct: observed.length, requests: observed.reduce((total, { count }) => total + count, 0), ...counts, ...refusedThen,
    probes: suggestion.policies.flatMap((policy) => probesOf(policy, observed, { before, after })), setAside: update.setAside,
  };
}

/** An access like one that was seen, with one thing changed. */
function probesOf({ name, group }: SuggestedPolicy, observed: readonly Observation[], { before, after }: { readonly before: Judge; readonly after: Judge }): Probe[] {
  const seen = observed.find(({ workload, denied, principal }) => group.workloads.includes(workload) && !denied && principal !== '');
  if (seen === undefined) return [];
  const domain = seen.principal.split('/')[0] ?? 'cluster.local';
  const others: [string, Partial<Observation>][] = [
    ['another certificate of the mesh', { principal: `${domain}/ns/${group.namespace}/sa/meltemi-nobody` }],
    ['no certificate (plaintext)', { principal: '', sourceIp: '192.0.2.1' }],
    ...(seen.protocol === 'tcp' ? [] : [['the same caller, another method', { method: 'MELTEMI-PROBE' }], ['the same caller, another path', { path: '/meltemi-probe/of/a/path/nobody/asked/for' }]] satisfies [string, Partial<Observation>][]),
  ];
  return others.flatMap(([what, change]) => {
    const [was, becomes] = [before.judge({ ...seen, ...change }), after.judge({ ...seen, ...change })];
    return was && becomes ? [{ what, policy: `${group.namespace}/${name}`, allowedBefore: was.allowed, allowedAfter: becomes.allowed }] : [];
  });
}
