import { ok, type Result } from '@meltemi/base';
import type { Answer } from './answer.ts';
import type { Features } from '@meltemi/pilot';
import type { LoadedMesh, SetAside } from './load.ts';
import type { Call, ProxyQuestion } from './question.ts';
import { MeshViews } from './mesh-views.ts';
import { walk } from './walk/walk.ts';

export interface ExplainOptions {
  readonly calls: readonly Call[];
  /** Wall clock, for tokens that expire. */
  readonly nowMs: number;
  readonly features?: Features;
}

export interface Explained {
  /** One per call, in their order. */
  readonly answers: readonly Answer[];
  /** Objects that are wrong, or that a proxy would refuse: answered as if they were not there. */
  readonly setAside: readonly SetAside[];
}

/** Answers each call. Errors are about the proxy's description alone. */
export function explain(mesh: LoadedMesh, proxy: ProxyQuestion, { calls, nowMs, features }: ExplainOptions): Result<Explained> {
  const view = new MeshViews(mesh, features).of(proxy);
  if (!view.ok) return view;
  return ok({ answers: calls.map((call) => walk(view.value, call, nowMs)), setAside: view.value.setAside });
}
