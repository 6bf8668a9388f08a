import type { Struct } from '../../../kinds/types.ts';
import { isMap } from '../../../schema/containers.ts';
import type { Analyzer, Report } from '../../analyzer.ts';
import { mapAt, maps, text, wholeNumber } from '../../json.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';

const ignoredTargets = ['ROUTE_CONFIGURATION', 'HTTP_ROUTE'];
const replaceable = ['NETWORK_FILTER', 'HTTP_FILTER', 'VIRTUAL_HOST'];

/** Patches that are ignored, or depend on the order of EnvoyFilters. */
export const envoyPatches: Analyzer = {
  name: 'envoyfilter.EnvoyPatchAnalyzer',
  description: 'EnvoyFilter patches that are ignored or depend on the order of objects',
  analyze(mesh, report) {
    // Names of filters that a patch bound to a proxyVersion brings; later patches may depend on them.
    const versioned = new Set<string>();
    for (const filter of mesh.ofKind('networking.istio.io', 'EnvoyFilter')) if (filter.spec !== undefined) checkPatches(filter, versioned, report);
  },
};

function checkPatches(filter: AnalyzedObject, versioned: Set<string>, report: Report): void {
  const spec = mapAt(filter.content, 'spec');
  const hasPriority = (wholeNumberOf(spec['priority']) ?? 0) !== 0;
  // The priority is the object's: one message per object and kind of problem says it all.
  const seen = new Set<string>();
  const once: Report = (object, said, finding) => {
    if (!seen.has(said.type.code)) report(object, said, finding);
    seen.add(said.type.code);
  };
  for (const [i, one] of maps(spec['configPatches']).entries()) {
    if (!isMap(one['patch'])) break;
    const path = `spec.configPatches[${i}].patch`;
    const name = filterName(one);
    const [operation, applyTo] = [text(one['patch']['operation']), text(one['applyTo'])];
    const relative = (): void => {
      if (!hasPriority) once(filter, versioned.has(name) ? messages.relativeOperationWithVersion() : messages.relativeOperation(), { path });
    };
    if (operation === 'ADD' && ignoredTargets.includes(applyTo)) once(filter, messages.addIncorrectly(), { path });
    else if (operation === 'REMOVE' && ignoredTargets.includes(applyTo)) once(filter, messages.removeIncorrectly(), { path });
    else if (operation === 'REPLACE' && !replaceable.includes(applyTo)) once(filter, messages.replaceIncorrectly(), { path });
    else if (['REMOVE', 'REPLACE', 'INSERT_BEFORE', 'INSERT_AFTER'].includes(operation)) relative();
    if (text(mapAt(one, 'match', 'proxy')['proxyVersion']) !== '') versioned.add(name);
  }
}

/** The filter a patch is about: the name it brings, or the one it matches. */
function filterName(patch: Struct): string {
  const value = mapAt(patch, 'patch')['value'];
  if (!isMap(value)) return '';
  return text(value['name']) || text(mapAt(patch, 'match', 'listener', 'filterChain', 'filter')['name']);
}

function wholeNumberOf(value: unknown): number | undefined {
  if (typeof value === 'string' && value.startsWith('-')) return -wholeNumber(value.slice(1));
  const number = wholeNumber(value);
  return Number.isNaN(number) ? undefined : number;
}
