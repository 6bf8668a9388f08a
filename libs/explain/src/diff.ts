import { ok, type Result } from '@meltemi/base';
import { keyText, type Config } from '@meltemi/config';
import { translate, type Features, type Proxy, type PushContext } from '@meltemi/pilot';
import { shortTypeName, xdsType } from '@meltemi/xds';
import type { Answer } from './answer.ts';
import { hasProxy, proxyOf } from './journey/find-workload.ts';
import { journey, type JourneyRequest, type Leg } from './journey/journey.ts';
import type { LoadedMesh, SetAside } from './load.ts';
import { MeshViews } from './mesh-views.ts';
import { proxyOfQuestion } from './view.ts';

/** Resources of one type that one proxy would get otherwise. */
export interface ResourceChange {
  readonly type: string;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
}

export interface ProxyChange {
  /** "sidecar default/productpage-v1" */
  readonly proxy: string;
  readonly resources: readonly ResourceChange[];
}

export type RequestVerdict = 'goes elsewhere' | 'is denied' | 'fails' | 'fails in part' | 'works again' | 'is treated otherwise';

export interface RequestChange {
  readonly request: JourneyRequest;
  readonly verdict: RequestVerdict;
  /** The last thing that happens to it. */
  readonly before: string;
  readonly after: string;
}

/** What applying some objects would change. */
export interface MeshDiff {
  readonly objects: readonly { readonly key: string; readonly change: 'added' | 'changed' }[];
  /** Proxies that would be sent something; others are left alone. */
  readonly proxies: readonly ProxyChange[];
  readonly unaffected: number;
  readonly requests: readonly RequestChange[];
  /** New objects that would be set aside. */
  readonly setAside: readonly SetAside[];
}

export interface DiffOptions {
  readonly requests: readonly JourneyRequest[];
  readonly nowMs: number;
  readonly features?: Features;
}

/** The mesh with other objects laid over it. */
export function laidOver(before: LoadedMesh, update: LoadedMesh): LoadedMesh {
  const configs = new Map<string, Config>(before.configs.map((config) => [keyText(config.key), config]));
  for (const config of update.configs) configs.set(keyText(config.key), config);
  const updated = new Set(update.configs.map(({ key }) => keyText(key)));
  const settings = update.configs.some(({ key }) => key.kind === 'MeshConfig' || (key.kind === 'ConfigMap' && key.name === 'istio'));
  return {
    configs: [...configs.values()], meshConfig: settings ? update.meshConfig : before.meshConfig, setAside: [...before.setAside, ...update.setAside],
    originOf: (key, field) => (updated.has(keyText(key)) ? update : before).originOf(key, field),
  };
}

/** Compares what every workload's proxy has with what it would have, and where requests end. */
export function meshDiff(before: LoadedMesh, after: LoadedMesh, { requests, nowMs, features }: DiffOptions): Result<MeshDiff> {
  const [was, becomes] = [new MeshViews(before, features), new MeshViews(after, features)];
  const names = workloads(was.push, becomes.push);
  const proxies = [...names].flatMap(([name, proxy]): ProxyChange[] => {
    const resources = changedResources(was.push, becomes.push, proxy);
    return resources.length > 0 ? [{ proxy: name, resources }] : [];
  });
  const asked = requests.flatMap((request): RequestChange[] => {
    const [one, other] = [journey(was, request, nowMs), journey(becomes, request, nowMs)];
    return one.ok && other.ok ? requestChange(request, one.value.legs, other.value.legs) : [];
  });
  return ok({ objects: changedObjects(before, after), proxies, unaffected: names.size - proxies.length, requests: asked, setAside: newlySetAside(was.setAside, becomes.setAside) });
}

function newlySetAside(was: readonly SetAside[], becomes: readonly SetAside[]): SetAside[] {
  const known = new Set(was.map((one) => JSON.stringify(one)));
  return becomes.filter((one) => !known.has(JSON.stringify(one)));
}

/** Only what users write: assumed Pods and addresses are remade each time. */
function changedObjects(before: LoadedMesh, after: LoadedMesh): MeshDiff['objects'] {
  const was = new Map(before.configs.map((config) => [keyText(config.key), config]));
  return after.configs.flatMap((config): MeshDiff['objects'][number][] => {
    const known = was.get(keyText(config.key));
    if (known !== undefined && JSON.stringify([known.meta, known.spec]) === JSON.stringify([config.meta, config.spec])) return [];
    return [{ key: keyText(config.key), change: known === undefined ? 'added' : 'changed' }];
  });
}

/** One proxy for each kind of workload: those that differ by their address alone are told the same. */
function workloads(...pushes: readonly PushContext[]): Map<string, Proxy> {
  const found = new Map<string, Proxy>();
  for (const push of pushes)
    for (const workload of push.registry.workloads.values()) {
      if (!hasProxy(workload)) continue;
      const question = proxyOf(push, workload);
      const name = `${question.type} ${workload.namespace}/${workload.name}`;
      if (found.has(name)) continue;
      const proxy = proxyOfQuestion(question);
      if (proxy.ok) found.set(name, proxy.value);
    }
  return found;
}

function changedResources(was: PushContext, becomes: PushContext, proxy: Proxy): ResourceChange[] {
  return [xdsType.listener, xdsType.route, xdsType.cluster, xdsType.endpoint].flatMap((typeUrl): ResourceChange[] => {
    const [one, other] = [translate(was, proxy, { typeUrl }).resources, translate(becomes, proxy, { typeUrl }).resources];
    const added = [...other.keys()].filter((name) => !one.has(name));
    const removed = [...one.keys()].filter((name) => !other.has(name));
    const changed = [...other].flatMap(([name, resource]) => (one.has(name) && one.get(name)?.version !== resource.version ? [name] : []));
    return added.length + removed.length + changed.length > 0 ? [{ type: shortTypeName(typeUrl), added, removed, changed }] : [];
  });
}

function requestChange(request: JourneyRequest, was: readonly Leg[], becomes: readonly Leg[]): RequestChange[] {
  const [before, after] = [endOf(was), endOf(becomes)];
  if (before === after) return [];
  return [{ request, verdict: verdictOf(was, becomes), before, after }];
}

function verdictOf(was: readonly Leg[], becomes: readonly Leg[]): RequestVerdict {
  const [last, next] = [was.at(-1)?.answer, becomes.at(-1)?.answer];
  if (next?.outcome === 'denied' && last?.outcome !== 'denied') return 'is denied';
  if (fails(next) && !fails(last)) return 'fails';
  if (failsInPart(becomes) && !fails(last) && !failsInPart(was)) return 'fails in part';
  if (!fails(next) && fails(last)) return 'works again';
  return last?.outcome === next?.outcome ? 'goes elsewhere' : 'is treated otherwise';
}

function fails(answer: Answer | undefined): boolean {
  if (answer === undefined) return true;
  const { outcome, status = 0, clusters = [], failing = [] } = answer;
  if (outcome !== 'routed' && outcome !== 'redirect' && outcome !== 'direct_response') return true;
  return status >= 500 || (failing.length > 0 && failing.length === clusters.filter(({ weight }) => weight > 0).length);
}

/** Some of its clusters are not there, or have no endpoint. */
function failsInPart(legs: readonly Leg[]): boolean {
  return legs.some(({ answer }) => answer.failing !== undefined);
}

/** What becomes of it in a line: all the way, so that two ways to one server are told apart. */
function endOf(legs: readonly Leg[]): string {
  return legs.map(({ workload, answer }) => {
    const lost = new Set(answer.failing?.map(({ name }) => name));
    const clusters = answer.clusters?.map(({ name, weight }) => `${name}${(answer.clusters?.length ?? 0) > 1 ? ` ${weight}` : ''}${lost.has(name) ? ' (nobody there)' : ''}`).join(', ');
    const as = answer.settings ? ` as ${answer.settings.authority}${answer.settings.path}` : '';
    return `${workload}: ${answer.outcome.replaceAll('_', ' ')}${answer.status === undefined ? '' : ` ${answer.status}`}${clusters === undefined ? '' : ` ${clusters}`}${answer.location === undefined ? '' : ` ${answer.location}`}${as}${answer.policy === undefined ? '' : ` by ${answer.policy}`}`;
  }).join(' → ');
}
