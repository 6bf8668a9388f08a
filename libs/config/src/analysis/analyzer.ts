import type { SourceFix } from './fix/source-fix.ts';
import type { Mesh } from './mesh.ts';
import type { Said } from './messages/message-type.ts';
import type { AnalyzedObject } from './object.ts';

/** One check over all objects: pure, and independent of the others. */
export interface Analyzer {
  /** Istio's name for it, as --analyzer and --list-analyzers use it. */
  readonly name: string;
  readonly description: string;
  readonly analyze: (mesh: Mesh, report: Report) => void;
}

/** Where in the object, and what would mend it. */
export interface Finding {
  /** Path into the object's content, like spec.http[0].route[1]; left out for the object as a whole. */
  readonly path?: string;
  readonly fix?: SourceFix;
}

export type Report = (object: AnalyzedObject, said: Said, finding?: Finding) => void;
