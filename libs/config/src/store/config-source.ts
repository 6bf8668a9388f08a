import type { ConfigKey, RawObject } from '../object.ts';

/** Where config is only read: a watched directory, Kubernetes. */
export interface ConfigSource {
  /** For people: "directory /etc/meltemi". */
  readonly name: string;
  /**
   * A put for each object there is and a problem for each thing wrong, `synced`, then changes. A key is put again when it changed and never twice alike.
   * What cannot be read keeps its last good objects in force beside the problem. Ends without an error when `signal` aborts.
   */
  watch(signal: AbortSignal): AsyncIterable<SourceEvent>;
}

/** 1-based line; "" and 0 where a source has no files. */
export interface SourceLocation {
  readonly file: string;
  readonly line: number;
  /** Of an object that is not valid: path of each wrong field → its line. */
  readonly fieldLines?: Readonly<Record<string, number>>;
}

/** Something wrong in a source. `path` is a field's path inside the object, "" for the whole. The four fields together identify it. */
export interface SourceProblem extends SourceLocation {
  readonly path: string;
  readonly message: string;
  /** The object that cannot be read, where its key is known all the same. */
  readonly key?: ConfigKey;
}

export type SourceEvent =
  | { readonly type: 'put'; readonly object: RawObject; readonly location: SourceLocation }
  | { readonly type: 'delete'; readonly key: ConfigKey }
  | { readonly type: 'problem' | 'problem-cleared'; readonly problem: SourceProblem }
  | { readonly type: 'synced' };

/** "a.yaml:3: spec.hosts: …": for logs and as a map key. */
export function problemText(problem: SourceProblem): string {
  const where = problem.file === '' ? '' : `${problem.file}${problem.line > 0 ? `:${problem.line}` : ''}: `;
  return `${where}${problem.path === '' ? '' : `${problem.path}: `}${problem.message}`;
}
