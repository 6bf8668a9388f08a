import type { FieldError } from '@meltemi/base';
import type { ConfigKey, ObjectMeta } from '../object.ts';
import type { Struct } from '../kinds/types.ts';

/** One object under analysis. */
export interface AnalyzedObject<Spec = unknown> {
  readonly key: ConfigKey;
  readonly apiVersion: string;
  readonly meta: ObjectMeta;
  /** The whole object as written. */
  readonly content: Struct;
  /** The typed spec of a kind of the mesh that decodes; otherwise undefined, and analyzers of that kind do not see the object. */
  readonly spec: Spec;
  /** Why it is not valid, and what is doubtful about it (kinds of the mesh only). */
  readonly errors: readonly FieldError[];
  readonly warnings: readonly FieldError[];
  /** "" is the cluster under analysis, otherwise the name of another one. */
  readonly cluster: string;
  readonly source: Source;
}

/** Where an object was written. */
export interface Source {
  /** "" when it is in no file. */
  readonly file: string;
  /** Line of a path into `content`, or of its nearest parent; 0 when it is in no file. */
  readonly line: (path: string) => number;
  /** The path as the file has it: below items[i] in a List, without "spec" in bare MeshConfig. */
  readonly pathInFile: (path: string) => string;
  /** Which YAML document of the file, from 0. */
  readonly document: number;
}

/** Of objects that come from no file. */
export const noSource: Source = { file: '', line: () => 0, pathInFile: (path) => path, document: 0 };

/** "VirtualService reviews.default", "Namespace shop": as suppressions name it. */
export function originOf({ key }: { readonly key: ConfigKey }): string {
  return `${key.kind} ${key.namespace === '' ? key.name : `${key.name}.${key.namespace}`}`;
}

/** "default/reviews", or "reviews" when cluster-scoped: as messages name it. */
export function fullName({ key }: { readonly key: ConfigKey }): string {
  return key.namespace === '' ? key.name : `${key.namespace}/${key.name}`;
}
