import type { ConfigKind } from '../kinds/kind.ts';
import { kinds } from '../kinds/registry.ts';
import type { Exception, Support } from './exception.ts';
import { exceptions } from './exceptions.ts';
import { schemaFields, type SchemaField } from './fields.ts';

/** A field of a kind, and what becomes of it. */
export interface FieldSupport extends SchemaField {
  readonly support: Support;
  /** "" when it works. */
  readonly consequence: string;
  /** What happens for some values only. */
  readonly byValue: readonly Exception[];
}

const groups = ['networking.istio.io', 'security.istio.io', 'telemetry.istio.io', 'extensions.istio.io', 'mesh.istio.io', 'gateway.networking.k8s.io', 'networking.k8s.io'];

/** The kinds the table is about: Istio's own, the Gateway API's and Ingress, in the order of the registry. */
export function supportedKinds(): readonly ConfigKind[] {
  return kinds.filter((kind) => groups.includes(kind.group) && kind.body === 'spec');
}

/** Every field of a kind, outer ones before inner ones. */
export function fieldSupport(kind: ConfigKind): readonly FieldSupport[] {
  const table = exceptionsOf(kind);
  return schemaFields(kind.schema).map((field) => {
    const meant = table.filter((one) => covers(one.path, field.path));
    const whole = meant.find((one) => one.values === undefined);
    const none = kind.acts === 'later' ? `${kind.kind} is checked, but nothing acts on it yet` : '';
    const support = none !== '' ? 'refused' : (whole?.support ?? 'works');
    return { ...field, support, consequence: none || (whole?.consequence ?? ''), byValue: meant.filter((one) => one.values !== undefined && endsAt(one.path, field.path)) };
  });
}

/** The exceptions of a kind. */
export function exceptionsOf(kind: Pick<ConfigKind, 'kind' | 'group'>): readonly Exception[] {
  return exceptions.filter((one) => one.group === kind.group && one.kinds.includes(kind.kind)).flatMap((one) => one.fields);
}

/** True when the pattern names the field itself. */
export function endsAt(pattern: string, path: string): boolean {
  return pattern.startsWith('**.') ? path === pattern.slice(3) || path.endsWith(pattern.slice(2)) : path === pattern;
}

/** True when the pattern names the field or one it is inside of. */
export function covers(pattern: string, path: string): boolean {
  if (endsAt(pattern, path)) return true;
  return parents(path).some((parent) => endsAt(pattern, parent));
}

function parents(path: string): string[] {
  const found: string[] = [];
  for (let i = path.length - 1; i > 0; i--) if (/[.[{]/.test(path[i] ?? '')) found.push(path.slice(0, i));
  return found;
}
