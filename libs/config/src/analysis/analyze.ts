import type { Analyzer, Finding } from './analyzer.ts';
import { analyzers as all } from './analyzers.ts';
import { reportSchema } from './analyzers/schema/schema.ts';
import { builtinObjects } from './builtin.ts';
import type { SourceFix } from './fix/source-fix.ts';
import { buildMesh, type Mesh } from './mesh.ts';
import { meshConfigAmong, meshNetworksAmong, type MeshTexts } from './mesh-settings.ts';
import { levels, type Level, type Said } from './messages/message-type.ts';
import { messages } from './messages/messages.ts';
import { originOf, type AnalyzedObject } from './object.ts';
import { readObjects, type SourceText } from './read.ts';
import { isSuppressed, type Suppression } from './suppress.ts';

/** What an analysis says about one object. */
export interface AnalysisMessage {
  readonly code: string;
  readonly level: Level;
  /** "VirtualService reviews.default". */
  readonly origin: string;
  readonly message: string;
  /** "" and 0 when the object comes from no file. */
  readonly file: string;
  readonly line: number;
  /** "" is the cluster under analysis. */
  readonly cluster: string;
  readonly object: AnalyzedObject;
  readonly path: string;
  /** What would mend it, when that is obvious. */
  readonly fix?: SourceFix;
}

export interface AnalysisOptions extends MeshTexts {
  /** Names of the analyzers to run; all when empty. */
  readonly analyzers?: readonly string[];
  /** Messages of objects in these namespaces and of cluster-scoped objects only; all when empty. */
  readonly namespaces?: readonly string[];
  /** Namespace of objects that name none. Default "default". */
  readonly defaultNamespace?: string;
  readonly suppressions?: readonly Suppression[];
  readonly ignoreUnknown?: boolean;
  readonly scopeGatewayToNamespace?: boolean;
  /** False for the objects of a live mesh, which has its own ingress gateway. Default true. */
  readonly builtin?: boolean;
  readonly now: Date;
}

/** Analyses texts in YAML or JSON: every object is read, what is wrong with one never hides the others. Worst messages first. */
export function analyzeTexts(texts: readonly SourceText[], options: AnalysisOptions): readonly AnalysisMessage[] {
  const { objects, unreadable } = readObjects(texts, { defaultNamespace: options.defaultNamespace ?? 'default', ignoreUnknown: options.ignoreUnknown === true });
  return analyzeObjects(objects, options, unreadable);
}

/** The same for objects read before. */
export function analyzeObjects(given: readonly AnalyzedObject[], options: AnalysisOptions, unreadable: readonly AnalyzedObject[] = []): readonly AnalysisMessage[] {
  // The files with the mesh's settings are checked as well.
  const settings = readObjects([options.meshConfig, options.meshNetworks].filter((text) => text !== undefined), { defaultNamespace: 'istio-system', ignoreUnknown: false });
  const objects = [...given, ...settings.objects];
  const meshConfig = meshConfigAmong(objects, options);
  const builtin = options.builtin === false ? [] : builtinObjects(meshConfig);
  const meshNetworks = meshNetworksAmong(objects, options);
  const mesh = buildMesh({ objects: [...builtin, ...objects], meshConfig, meshNetworks, scopeGatewayToNamespace: options.scopeGatewayToNamespace === true, now: options.now });
  const found: AnalysisMessage[] = [];
  const report = (object: AnalyzedObject, said: Said, finding: Finding = {}): void => {
    if (!builtin.includes(object) && isWanted(object, said, options)) found.push(message(object, said, finding));
  };
  const named = options.analyzers ?? [];
  for (const analyzer of all) if (named.length === 0 || named.includes(analyzer.name)) run(analyzer, mesh, report);
  for (const object of [...unreadable, ...settings.unreadable]) reportSchema(object, report);
  return sorted(found);
}

/** One analyzer's bug must not take the others' findings along. */
function run(analyzer: Analyzer, mesh: Mesh, report: Parameters<Analyzer['analyze']>[1]): void {
  try {
    analyzer.analyze(mesh, report);
  } catch (cause) {
    const [object] = mesh.objects;
    if (object) report(object, messages.internalError(`${analyzer.name}: ${cause instanceof Error ? cause.message : String(cause)}`));
  }
}

function isWanted(object: AnalyzedObject, said: Said, { namespaces = [], suppressions = [] }: AnalysisOptions): boolean {
  const namespace = object.key.group === '' && object.key.kind === 'Namespace' ? object.key.name : object.key.namespace;
  if (namespaces.length > 0 && namespace !== '' && !namespaces.includes(namespace)) return false;
  return !isSuppressed(object, said.type.code, suppressions);
}

function message(object: AnalyzedObject, { type, text }: Said, { path = '', fix }: Finding): AnalysisMessage {
  const { source } = object;
  const base = { code: type.code, level: type.level, origin: originOf(object), message: text, file: source.file, line: source.line(path), cluster: object.cluster, object, path };
  return fix === undefined ? base : { ...base, fix };
}

function sorted(found: readonly AnalysisMessage[]): AnalysisMessage[] {
  const rank = (one: AnalysisMessage): string => [one.cluster, levels.indexOf(one.level), one.code, one.origin, one.message, one.file, String(one.line).padStart(7, '0')].join('\n');
  const byRank = new Map<string, AnalysisMessage>();
  for (const one of found) if (!byRank.has(rank(one))) byRank.set(rank(one), one);
  return [...byRank].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

