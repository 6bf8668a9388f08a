import { ok, type Result } from '@meltemi/base';
import type { Answer } from './answer.ts';
import type { LoadedMesh } from './load.ts';
import type { Call, ProxyQuestion } from './question.ts';
import { viewOf } from './view.ts';
import { walk } from './walk/walk.ts';

/** Answers each call, in the same order. Objects that are wrong are set aside; errors are about the proxy's description alone. */
export function explain(mesh: LoadedMesh, proxy: ProxyQuestion, { calls, nowMs }: { readonly calls: readonly Call[]; readonly nowMs: number }): Result<readonly Answer[]> {
  const view = viewOf(mesh, proxy);
  return view.ok ? ok(calls.map((call) => walk(view.value, call, nowMs))) : view;
}
