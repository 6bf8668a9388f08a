import type { FieldError } from '@meltemi/base';
import { groupOwner } from '../../../envelope.ts';
import type { ConfigKind } from '../../../kinds/kind.ts';
import { kinds } from '../../../kinds/registry.ts';
import { virtualService } from '../../../kinds/virtual-service/kind.ts';
import type { VirtualServiceSpec } from '../../../kinds/virtual-service/types.ts';
import type { Analyzer, Report } from '../../analyzer.ts';
import type { SourceFix } from '../../fix/source-fix.ts';
import { messages } from '../../messages/messages.ts';
import type { AnalyzedObject } from '../../object.ts';
import { reportUnreachable } from '../virtual-service/unreachable.ts';

const own = kinds.filter((kind) => groupOwner(kind.group) === 'istio');

/** One analyzer per kind of the mesh, and one for everything else. */
export const schemaAnalyzers: readonly Analyzer[] = [
  ...own.map(ofKind),
  {
    name: 'schema.ValidationAnalyzer',
    description: 'Objects of kinds the mesh does not have, and Kubernetes objects it cannot read',
    analyze(mesh, report) {
      for (const object of mesh.objects) if (!own.some((kind) => isOf(object, kind))) reportSchema(object, report);
    },
  },
];

function ofKind(kind: ConfigKind): Analyzer {
  return {
    name: `schema.ValidationAnalyzer.${kind.kind}`,
    description: `${kind.kind} objects that are not valid, or doubtful`,
    analyze(mesh, report) {
      for (const object of mesh.ofKind(kind.group, kind.kind)) {
        reportSchema(object, report);
        if (isOf(object, virtualService) && object.spec !== undefined) reportUnreachable(object as AnalyzedObject<VirtualServiceSpec>, report);
      }
    },
  };
}

function isOf({ key }: AnalyzedObject, kind: Pick<ConfigKind, 'group' | 'kind'>): boolean {
  return key.group === kind.group && key.kind === kind.kind;
}

/** What decoding and validation said of an object. */
export function reportSchema(object: AnalyzedObject, report: Report): void {
  for (const error of object.errors) report(object, messages.schemaError(said(error)), { path: error.path, ...fixFor(error) });
  for (const warning of object.warnings) if (!isSaidOtherwise(object, warning)) report(object, messages.schemaWarning(said(warning)), { path: warning.path });
}

/** Rules that are never used have messages of their own. */
function isSaidOtherwise(object: AnalyzedObject, { path, message }: FieldError): boolean {
  return isOf(object, virtualService) && /^spec\.(http|tls|tcp)\[\d+\](\.match\[\d+\])?$/.test(path) && message.includes('never used');
}

function said({ path, message }: FieldError): string {
  return path === '' ? message : `${path}: ${message}`;
}

/** Typing mistakes for which the schema knows what was meant. */
function fixFor({ path, message }: FieldError): { readonly fix?: SourceFix } {
  const field = /^unknown field ".*"; did you mean "([^"]+)"\?$/.exec(message)?.[1];
  if (field !== undefined) return { fix: { do: 'rename', path, to: field } };
  const value = /^must be one of .*; did you mean "([^"]+)"\?$/.exec(message)?.[1];
  return value === undefined ? {} : { fix: { do: 'replace', path, value } };
}
