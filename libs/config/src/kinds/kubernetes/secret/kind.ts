import { anything, map } from '../../../schema/containers.ts';
import { string } from '../../../schema/scalars.ts';
import { mapped } from '../../../schema/schema.ts';
import { kubeKind, kubeObject } from '../kube-kind.ts';

/** A Secret as the mesh knows it: its type and the names of what it holds. Values stay in the bytes they came in; no error text shows one. */
export interface SecretSpec {
  readonly type: string;
  readonly keys: readonly string[];
}

interface Written {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly stringData: Readonly<Record<string, unknown>>;
}

export const secret = kubeKind<SecretSpec>({
  kind: 'Secret',
  plural: 'secrets',
  body: 'object',
  schema: mapped(kubeObject<Written>({ type: string(), data: map(anything()), stringData: map(anything()) }), ({ type, data, stringData }) => ({
    type,
    keys: [...new Set([...Object.keys(data), ...Object.keys(stringData)])].sort(),
  })),
});
