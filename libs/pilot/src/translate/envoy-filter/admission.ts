import type { FieldError, Result } from '@meltemi/base';
import type { ConfigKey } from '@meltemi/config';
import type { EnvoyFilterPatch } from '../../push-context/envoy-filters.ts';
import type { PatchReport } from './patching.ts';

/** A patch that was set aside while a resource was made, and why. */
export interface PatchSetAside {
  readonly key: ConfigKey;
  readonly errors: readonly FieldError[];
}

/** More notes than this of one configuration are not kept. */
const maxNotes = 1000;

const notes = new WeakMap<object, Map<string, PatchSetAside>>();

/** A report that keeps its notes with `context`, a push context's `shape` or `base`, each once. */
export function reportTo(context: object): PatchReport {
  return (patch, reason) => {
    let known = notes.get(context);
    if (!known) notes.set(context, (known = new Map()));
    const text = `${patch.id} ${reason}`;
    if (known.size < maxNotes && !known.has(text)) known.set(text, { key: patch.key, errors: [{ path: patch.path, message: `set aside: ${reason}` }] });
  };
}

/** Patches set aside so far in what was translated of a context. */
export function patchesSetAside({ shape, base }: { readonly shape: object; readonly base: object }): PatchSetAside[] {
  return [...new Map([shape, base].flatMap((context) => [...(notes.get(context) ?? [])])).values()];
}

/** How one resource is patched and judged. */
export interface Trial<T> {
  readonly patches: readonly EnvoyFilterPatch[];
  readonly apply: (patches: readonly EnvoyFilterPatch[], report: PatchReport) => T;
  /** What the proxy would refuse of it; undefined: nothing here knows (the client is not ours). */
  readonly judge: ((result: T) => readonly FieldError[]) | undefined;
  readonly report: PatchReport;
}

/** The resource after all patches that leave it valid. Those to blame are reported and left out alone; the others are in force. */
export function admitted<T>({ patches, apply, judge, report }: Trial<T>): T {
  const attempt = apply(patches, report);
  if (!judge) return attempt;
  const original = apply([], ignore);
  const accepted = new Set(judge(original).map(textOf));
  const fresh = (result: T) => judge(result).filter((error) => !accepted.has(textOf(error)));
  if (fresh(attempt).length === 0) return attempt;
  const kept: EnvoyFilterPatch[] = [];
  for (const patch of patches) {
    const [problem] = fresh(apply([...kept, patch], ignore));
    if (problem) report(patch, `${problem.path === '' ? '' : `${problem.path} `}${problem.message}`);
    else kept.push(patch);
  }
  return apply(kept, ignore);
}

function textOf({ path, message }: FieldError): string {
  return `${path}\0${message}`;
}

function ignore(): void {}

/** What a compilation refused. */
export function refusals(result: Result<unknown>): readonly FieldError[] {
  return result.ok ? [] : result.error;
}
