import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

/** A Deployment, as far as running its pods on this machine needs it. */
export interface Deployment {
  readonly name: string;
  readonly namespace: string;
  readonly replicas: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly container: Container;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name?: string; readonly containerPort: number; readonly protocol?: string }[];
}

/** Every .yaml file of a file or directory tree, sorted. */
export function yamlFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => /\.ya?ml$/.test(name)).sort().map((name) => join(path, name));
}

/** The Deployments in these files or directories. Other objects are the registry's business. */
export function readDeployments(paths: readonly string[]): Deployment[] {
  return paths.flatMap(yamlFiles).flatMap((file) =>
    parseAllDocuments(readFileSync(file, 'utf8')).flatMap((document) => {
      const object = document.toJS() as RawDeployment | null;
      return object?.kind === 'Deployment' ? [deployment(object)] : [];
    }));
}

interface RawDeployment {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: {
    readonly replicas?: number;
    readonly template: {
      readonly metadata?: { readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> };
      readonly spec: { readonly serviceAccountName?: string; readonly containers: readonly RawContainer[] };
    };
  };
}

interface RawContainer {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly ports?: Container['ports'];
}

function deployment(raw: RawDeployment): Deployment {
  const template = raw.spec.template;
  const container = template.spec.containers[0];
  if (!container) throw new Error(`Deployment ${raw.metadata.name}: spec.template.spec.containers is empty`);
  return {
    name: raw.metadata.name,
    namespace: raw.metadata.namespace ?? 'default',
    replicas: raw.spec.replicas ?? 1,
    labels: template.metadata?.labels ?? {},
    annotations: template.metadata?.annotations ?? {},
    serviceAccount: template.spec.serviceAccountName ?? 'default',
    container: {
      name: container.name, image: container.image, args: container.args ?? [], ports: container.ports ?? [],
      env: Object.fromEntries((container.env ?? []).map((entry) => [entry.name, entry.value ?? ''])),
    },
  };
}
