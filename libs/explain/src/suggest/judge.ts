import { featuresFrom, type Features, type Workload } from '@meltemi/pilot';
import type { Answer } from '../answer.ts';
import { proxyOf } from '../journey/find-workload.ts';
import type { LoadedMesh } from '../load.ts';
import { MeshViews } from '../mesh-views.ts';
import type { Call } from '../question.ts';
import { walk } from '../walk/walk.ts';
import type { Observation } from './observation.ts';

/** What a workload's proxy would do with an access: only what AuthorizationPolicies say of it. */
export interface Judgement {
  readonly allowed: boolean;
  /** The policy that refuses, "namespace/name"; undefined when it is that no ALLOW policy has it. */
  readonly policy: string | undefined;
}

/** The proxies of one mesh as judges, by the code that they run. */
export class Judge {
  readonly views: MeshViews;
  readonly #nowMs: number;
  readonly #workloads = new Map<string, Workload>();

  constructor(mesh: LoadedMesh, { nowMs, features = featuresFrom({}) }: { readonly nowMs: number; readonly features?: Features | undefined }) {
    this.views = new MeshViews(mesh, features);
    this.#nowMs = nowMs;
    for (const workload of this.views.push.registry.workloads.values()) {
      const name = `${workload.namespace}/${workload.name}`;
      if (!this.#workloads.has(name)) this.#workloads.set(name, workload);
    }
  }

  knows(workload: string): boolean {
    return this.#workloads.has(workload);
  }

  /** Undefined when the mesh has no such workload any more. */
  judge(observation: Pick<Observation, 'workload' | 'port' | 'protocol' | 'principal' | 'sourceIp' | 'method' | 'host' | 'path'>): Judgement | undefined {
    const workload = this.#workloads.get(observation.workload);
    const view = workload && this.views.of(proxyOf(this.views.push, workload));
    if (workload === undefined || view?.ok !== true) return undefined;
    const { outcome, policy }: Answer = walk(view.value, callOf(observation, workload.address), this.#nowMs);
    return { allowed: outcome !== 'denied', policy };
  }
}

function callOf({ port, protocol, principal, sourceIp, method, host, path }: Parameters<Judge['judge']>[0], address: string): Call {
  return { mode: 'inbound', address, port, protocol, tls: principal === '' ? 'none' : 'mtls', principal, sourceAddress: sourceIp, method, host, path: path || '/', headers: {}, extAuthz: {} };
}
