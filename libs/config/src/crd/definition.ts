import type { ConfigKind } from '../kinds/kind.ts';
import { kinds } from '../kinds/registry.ts';
import { columnsOf, storageVersionOf } from './columns.ts';
import { openApiSchema, type OpenApiSchema } from './schema.ts';

/** A CustomResourceDefinition of apiextensions.k8s.io/v1, as JSON values. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly group: string;
    readonly names: Readonly<Record<string, unknown>>;
    readonly scope: 'Namespaced' | 'Cluster';
    readonly versions: readonly CustomResourceVersion[];
  };
}

export interface CustomResourceVersion {
  readonly name: string;
  readonly served: true;
  readonly storage: boolean;
  readonly subresources: { readonly status: OpenApiSchema };
  readonly additionalPrinterColumns?: readonly OpenApiSchema[];
  readonly schema: { readonly openAPIV3Schema: OpenApiSchema };
}

const groups = ['networking.istio.io', 'security.istio.io', 'telemetry.istio.io', 'extensions.istio.io'];

/** The kinds a cluster needs a definition of: Istio's own, without MeshConfig (a ConfigMap there) and the kinds of old releases. */
export function kindsWithDefinition(): readonly ConfigKind[] {
  return kinds.filter((kind) => groups.includes(kind.group) && kind.body === 'spec');
}

export function customResourceDefinition(kind: ConfigKind): CustomResourceDefinition {
  const storage = storageVersionOf(kind);
  const columns = columnsOf(kind);
  const schema = { openAPIV3Schema: objectSchema(kind) };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${kind.plural}.${kind.group}`, labels: { 'app.kubernetes.io/part-of': 'meltemi' } },
    spec: {
      group: kind.group,
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        categories: ['istio-io', kind.group.replaceAll('.', '-')],
        ...(kind.shortNames.length > 0 && { shortNames: [...kind.shortNames] }),
      },
      scope: kind.scope === 'cluster' ? 'Cluster' : 'Namespaced',
      versions: kind.versions.map((name) => ({
        name,
        served: true,
        storage: name === storage,
        subresources: { status: {} },
        ...(columns.length > 0 && { additionalPrinterColumns: columns }),
        schema,
      })),
    },
  };
}

function objectSchema(kind: ConfigKind): OpenApiSchema {
  return {
    type: 'object',
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: openApiSchema(kind.schema),
      status: { 'type': 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  };
}
