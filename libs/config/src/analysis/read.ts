import type { FieldError } from '@meltemi/base';
import { decode } from '../decode.ts';
import { parseYamlDocuments, type ParsedDocument } from '../documents/parse.ts';
import { groupOwner } from '../envelope.ts';
import { isOfKindName, type ConfigKind } from '../kinds/kind.ts';
import { isMeshConfigMap, meshKeys } from '../kinds/mesh-config/read.ts';
import { findKind } from '../kinds/registry.ts';
import { decodeMetadata } from '../metadata.ts';
import type { RawObject } from '../object.ts';
import { isMap } from '../schema/containers.ts';
import { textMap } from './json.ts';
import { noSource, type AnalyzedObject, type Source } from './object.ts';

/** A file, or standard input ("-"). */
export interface SourceText {
  readonly name: string;
  readonly text: string;
  /** Name of the cluster it describes, when that is not the one under analysis. */
  readonly cluster?: string;
}

export interface ReadOptions {
  /** Namespace of objects that name none. */
  readonly defaultNamespace: string;
  /** Leaves documents out that are no objects at all (no apiVersion and kind). */
  readonly ignoreUnknown: boolean;
}

export interface ReadObjects {
  readonly objects: readonly AnalyzedObject[];
  /** Stand-ins for documents no object could be made of, with the reasons in `errors`. */
  readonly unreadable: readonly AnalyzedObject[];
}

/** Namespaces of Kubernetes itself, which Istio's analysis leaves out. */
const ignoredNamespaces = ['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage'];

/** Reads every object of the texts. What is wrong with one is kept with it and never stops the others. */
export function readObjects(texts: readonly SourceText[], options: ReadOptions): ReadObjects {
  const objects: AnalyzedObject[] = [];
  const unreadable: AnalyzedObject[] = [];
  for (const { name, text, cluster = '' } of texts) {
    for (const document of parseYamlDocuments(text, name).documents) {
      if (!document.raw) {
        if (!options.ignoreUnknown) unreadable.push(standIn(document, cluster));
        continue;
      }
      const object = analyzedObject(inNamespace(document.raw, options.defaultNamespace), { source: sourceOf(document), cluster });
      if (!isIgnored(object)) objects.push(object);
    }
  }
  return { objects, unreadable };
}

/** Decodes one object for analysis. Objects that decode but are not valid keep their spec, so that everything wrong is told at once. */
export function analyzedObject(raw: RawObject, about: { readonly source?: Source; readonly cluster?: string } = {}): AnalyzedObject {
  const { key, apiVersion, content } = raw;
  const kind = findKind(key.group, key.kind);
  const metadata = content['metadata'];
  const meta = { ...decodeMetadata(metadata, []), namespace: key.namespace, ...(isMap(metadata) ? { labels: textMap(metadata['labels']), annotations: textMap(metadata['annotations']) } : {}) };
  const object = { key, apiVersion, meta, content, cluster: about.cluster ?? '', source: about.source ?? noSource };
  return { ...object, ...verdict(raw, kind) };
}

function verdict(raw: RawObject, kind: ConfigKind | undefined): Pick<AnalyzedObject, 'spec' | 'errors' | 'warnings'> {
  const result = decode(raw);
  const ours = groupOwner(raw.key.group) === 'istio' || meshKeys.some((one) => one.kind === kind);
  if (result.ok) {
    const { acts, config, warnings } = result.value;
    if (acts === 'foreign') return { spec: undefined, errors: [], warnings: [] };
    return { spec: config.spec, errors: [], warnings: acts === 'later' ? warnings.filter((one) => one.path !== '') : warnings };
  }
  if (ours || holdsMeshSettings(raw)) return { spec: kind && lenientSpec(raw, kind), errors: result.error, warnings: [] };
  // Kubernetes' API server checks these, not the mesh: but the mesh sets aside what it cannot read.
  return { spec: undefined, errors: [], warnings: result.error.map(({ path, message }) => ({ path, message: `${message} (the mesh does not use this object)` })) };
}

function holdsMeshSettings({ key, content }: RawObject): boolean {
  const data = textMap(content['data']);
  return isOfKindName({ key }, { group: '', kind: 'ConfigMap' }) && isMeshConfigMap(key.name) && meshKeys.some((one) => data[one.key] !== undefined);
}

/** The spec of an object that is refused for what it says, not for how it is written: missing fields read as empty. */
function lenientSpec({ content }: RawObject, kind: ConfigKind): unknown {
  const errors: FieldError[] = [];
  const { spec } = content;
  const decoded = kind.body === 'object' ? kind.schema.decode(content, '', errors) : spec === undefined || spec === null ? kind.schema.missing('spec', errors) : kind.schema.decode(spec, 'spec', errors);
  return errors.every((error) => error.message === 'is required') ? decoded : undefined;
}

function inNamespace(raw: RawObject, namespace: string): RawObject {
  const { metadata } = raw.content;
  const named = isMap(metadata) && metadata['namespace'] !== undefined && metadata['namespace'] !== '';
  return named || raw.key.namespace === '' ? raw : { ...raw, key: { ...raw.key, namespace } };
}

function isIgnored({ key }: AnalyzedObject): boolean {
  return ignoredNamespaces.includes(key.group === '' && key.kind === 'Namespace' ? key.name : key.namespace);
}

function sourceOf(document: ParsedDocument): Source {
  return { file: document.file, line: (path) => (path === '' ? document.line : document.locate(path).line), pathInFile: document.pathInFile, document: document.index };
}

function standIn(document: ParsedDocument, cluster: string): AnalyzedObject {
  const { kind, name, namespace } = document.named;
  const key = { group: '', kind: kind || 'Document', namespace: name === '' ? '' : namespace || 'default', name: name || `${document.index} of ${document.file}` };
  // Of text that cannot be read the first mistake explains the others.
  const isNoObject = document.errors.every((error) => error.path === 'apiVersion' || error.path === 'kind') && kind === '';
  const errors = isNoObject ? [{ path: '', message: 'it is no object: it has no apiVersion and kind' }] : name === '' ? document.errors.slice(0, 1) : document.errors;
  const [first] = document.errors;
  const source = { ...sourceOf(document), line: (path: string) => document.errors.find((error) => error.path === path)?.line ?? first?.line ?? document.line };
  const meta = { name, namespace: key.namespace, labels: {}, annotations: {}, creationTimestamp: '' };
  return { key, apiVersion: '', meta, content: {}, spec: undefined, errors, warnings: [], cluster, source };
}
