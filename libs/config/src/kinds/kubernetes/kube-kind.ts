import type { Fields } from '../../schema/containers.ts';
import { object } from '../../schema/containers.ts';
import type { Schema } from '../../schema/schema.ts';
import type { ConfigKind } from '../kind.ts';

/** An object of Kubernetes' API, of which only the named fields are read: the API server has checked the rest, or will. */
export function kubeObject<T>(fields: Fields<T>): Schema<T> {
  return object(fields, { unknown: 'ignore' });
}

/** The few things that differ between Kubernetes' kinds; fill the rest with what is usual. */
export function kubeKind<Spec>(kind: Pick<ConfigKind<Spec>, 'kind' | 'plural' | 'schema'> & Partial<ConfigKind<Spec>>): ConfigKind<Spec> {
  return { group: '', shortNames: [], versions: ['v1'], scope: 'namespaced', acts: 'full', body: 'spec', validate: () => undefined, ...kind };
}
