import type { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { compileResource, type CompiledResource, type Compiler } from './compile.ts';
import type { StaticOwner } from './dynamic-types.ts';
import type { ResourceKind, WireResource } from './worker-messages.ts';

export interface StaticResource extends WireResource {
  readonly kind: ResourceKind;
}

export interface StaticResources {
  readonly resources: readonly StaticResource[];
  /** Those that need something from elsewhere. */
  readonly owners: readonly StaticOwner[];
  readonly warnings: readonly FieldError[];
}

/** Reads a bootstrap's static resources; every problem comes back with its path. */
export function readStaticResources(resources: Bootstrap['staticResources'], compiler: Compiler): Result<StaticResources> {
  const errors: FieldError[] = [];
  const warnings: FieldError[] = [];
  const owners: StaticOwner[] = [];
  const found = encoded(resources);
  const secrets = new Set(found.filter(({ kind }) => kind === 'secrets').map(({ name }) => name));
  const indexOf: Record<string, number> = {};
  const seen = new Set<string>();
  const taken: StaticResource[] = [];
  for (const { kind, name, bytes } of found) {
    const at = `static_resources.${kind}[${(indexOf[kind] = (indexOf[kind] ?? -1) + 1)}]`;
    if (name === '') errors.push({ path: `${at}.name`, message: 'is required' });
    else if (seen.has(`${kind}/${name}`)) errors.push({ path: `${at}.name`, message: `"${name}" is taken by an earlier one: names are unique` });
    seen.add(`${kind}/${name}`);
    const compiled = compileResource(compiler, kind, { value: bytes });
    if (!compiled.ok) errors.push(...compiled.error.map((error) => ({ path: join(at, error.path), message: error.message })));
    else {
      const { references, modules } = compiled.value;
      taken.push({ kind, name, bytes, modules });
      warnings.push(...compiled.value.warnings.map(({ path, message }) => ({ path: join(at, path), message })));
      for (const secret of unknownSecrets(compiled.value, secrets)) errors.push({ path: at, message: `secret "${secret}" has no sds_config, and static_resources.secrets does not have it` });
      if (references.length > 0) owners.push({ kind, name, path: at, references });
    }
  }
  return errors.length > 0 ? err(errors) : ok({ resources: taken, owners, warnings });
}

/** Secrets without a source that no static one has the name of. */
export function unknownSecrets({ sdsNames, references }: CompiledResource, known: { has(name: string): boolean }): string[] {
  return [...sdsNames].filter((name) => !known.has(name) && !references.some((reference) => reference.kind === 'secrets' && reference.name === name));
}

function encoded(resources: Bootstrap['staticResources']): StaticResource[] {
  return [
    ...(resources?.clusters ?? []).map((cluster) => ({ kind: 'clusters' as const, name: cluster.name, bytes: Cluster.encode(cluster).finish() })),
    ...(resources?.secrets ?? []).map((secret) => ({ kind: 'secrets' as const, name: secret.name, bytes: Secret.encode(secret).finish() })),
    ...(resources?.listeners ?? []).map((listener, index) => {
      const named = listener.name === '' ? { ...listener, name: `listener_${index}` } : listener;
      return { kind: 'listeners' as const, name: named.name, bytes: Listener.encode(named).finish() };
    }),
  ];
}

function join(at: string, path: string): string {
  if (path === '') return at;
  return path.startsWith('[') ? `${at}${path}` : `${at}.${path}`;
}
