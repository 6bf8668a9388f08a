import type { FieldError } from '@meltemi/base';
import { decode } from '../decode.ts';
import { parseYamlDocuments, type ParsedDocument } from '../documents/parse.ts';
import { groupOwner } from '../envelope.ts';
import type { ConfigKind } from '../kinds/kind.ts';
import { meshConfig } from '../kinds/mesh-config/kind.ts';
import { findKind } from '../kinds/registry.ts';
import type { RawObject } from '../object.ts';
import { isMap } from '../schema/containers.ts';
import { child } from '../schema/schema.ts';
import { isMeant } from './check.ts';
import type { Exception } from './exception.ts';
import { covers, endsAt, exceptionsOf, supportedKinds } from './support.ts';
import { usedFields } from './used.ts';

/** supported: it works here as in Istio. approximated: nearly. unsupported: it has no effect, or is refused. */
export type Classification = 'supported' | 'approximated' | 'unsupported';

/** One field that one object sets. */
export interface MigratedField {
  /** "spec.http[0].route[0].weight". */
  readonly field: string;
  readonly line: number;
  readonly classification: Classification;
  /** "" when supported. */
  readonly consequence: string;
}

/** One document of the files, or item of a List. */
export interface MigratedObject {
  readonly file: string;
  readonly line: number;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** The worst of its fields; "passed over" is what is none of Istio's business. */
  readonly classification: Classification | 'passed over';
  /** Why the object as a whole is what it is; "" when its fields tell. */
  readonly consequence: string;
  readonly fields: readonly MigratedField[];
}

export interface MigrationReport {
  readonly summary: {
    readonly files: number;
    readonly objects: Readonly<Record<MigratedObject['classification'], number>>;
    readonly fields: Readonly<Record<Classification, number>>;
  };
  readonly objects: readonly MigratedObject[];
}

/** What of an Istio project works here: every document of its files, and every field that the documents of Istio's kinds set. Never throws. */
export function migrationReport(files: readonly { readonly name: string; readonly text: string }[]): MigrationReport {
  const objects = files.flatMap(({ name, text }) => parseYamlDocuments(text, name).documents.map((document) => migrated(document, text)));
  const fields = objects.flatMap((object) => object.fields);
  return {
    summary: {
      files: files.length,
      objects: { 'supported': count(objects, 'supported'), 'approximated': count(objects, 'approximated'), 'unsupported': count(objects, 'unsupported'), 'passed over': count(objects, 'passed over') },
      fields: { supported: count(fields, 'supported'), approximated: count(fields, 'approximated'), unsupported: count(fields, 'unsupported') },
    },
    objects,
  };
}

function count(list: readonly { readonly classification: string }[], classification: string): number {
  return list.filter((one) => one.classification === classification).length;
}

/** Why a template was passed over: what it makes may well be Istio's. */
export const templateConsequence = 'is a template: render it, then ask again';

function migrated(document: ParsedDocument, text: string): MigratedObject {
  const whole = { file: document.file, line: document.line, ...document.named, fields: [] };
  const { raw } = document;
  if (!raw) return withoutObject(document, text);
  const kind = findKind(raw.key.group, raw.key.kind);
  if (!isOurs(raw, kind)) return { ...whole, classification: 'passed over', consequence: kind ? 'is read for the services and workloads it describes' : 'is of another API' };
  return ofOurs(document, raw, { kind, whole: { ...whole, kind: raw.key.kind, namespace: raw.key.namespace, name: raw.key.name } });
}

// Values, kustomizations, dashboards and data are files without objects.
function withoutObject(document: ParsedDocument, text: string): MigratedObject {
  const [first] = document.errors;
  const whole = { file: document.file, line: first?.line ?? document.line, ...document.named, fields: [] };
  const readable = first?.path !== '' || first.message.startsWith('must be an object');
  if (!readable && text.includes('{{')) return { ...whole, classification: 'passed over', consequence: templateConsequence };
  const isData = readable ? !supportedKinds().some((kind) => kind.kind === document.named.kind) : !text.includes('apiVersion');
  return { ...whole, classification: isData ? 'passed over' : 'unsupported', consequence: isData ? 'is no object' : `cannot be read: ${first?.message ?? ''}` };
}

function isOurs({ key }: RawObject, kind: ConfigKind | undefined): boolean {
  return groupOwner(key.group) === 'istio' || (kind !== undefined && key.group.endsWith('gateway.networking.k8s.io'));
}

type Whole = Pick<MigratedObject, 'file' | 'line' | 'kind' | 'namespace' | 'name' | 'fields'>;

function ofOurs(document: ParsedDocument, raw: RawObject, { kind, whole }: { kind: ConfigKind | undefined; whole: Whole }): MigratedObject {
  if (raw.key.kind === 'IstioOperator') return ofInstaller(document, raw, whole);
  const decoded = decode(raw);
  const line = (path: string): number => document.locate(path).line;
  if (!decoded.ok) {
    const fields = decoded.error.map(({ path, message }): MigratedField => ({ field: path, line: line(path), classification: 'unsupported', consequence: message }));
    return { ...whole, classification: 'unsupported', consequence: 'is refused', fields };
  }
  if (!kind || kind.body === 'object') return { ...whole, classification: 'unsupported', consequence: `nothing acts on ${raw.key.kind}` };
  const later = kind.acts === 'later' ? `${kind.kind} is checked, but nothing acts on it yet` : '';
  const content = raw.content['spec'];
  const fields = [...toleratedFields(kind, document, content), ...fieldsOf({ kind, document, content, at: 'spec', later, warnings: decoded.value.warnings })];
  return { ...whole, classification: later === '' ? worst(fields) : 'unsupported', consequence: later, fields };
}

/** What is no error only because the mesh goes on without it. */
function toleratedFields(kind: ConfigKind, document: ParsedDocument, content: unknown): readonly MigratedField[] {
  const errors: FieldError[] = [];
  if (kind.tolerate) kind.schema.decode(content ?? {}, 'spec', errors);
  return errors.map(({ path, message }) => ({ field: document.pathInFile(path), line: document.locate(path).line, classification: 'unsupported', consequence: message }));
}

interface FieldsOptions {
  readonly kind: ConfigKind;
  readonly document: ParsedDocument;
  readonly content: unknown;
  /** Path of the content in the object. */
  readonly at: string;
  /** Why no field of the kind has an effect, or "". */
  readonly later: string;
  /** What validation said of the object. Default nothing. */
  readonly warnings?: readonly FieldError[];
}

function fieldsOf({ kind, document, content, at, later, warnings = [] }: FieldsOptions): readonly MigratedField[] {
  const table = exceptionsOf(kind);
  return usedFields(kind.schema, content, at).map((used) => {
    const exception = table.find((one) => (one.values === undefined ? covers(one.path, used.path) : endsAt(one.path, used.path) && isMeant(one, used)));
    const place = { field: document.pathInFile(used.at), line: document.locate(used.at).line };
    if (later !== '') return { ...place, classification: 'unsupported', consequence: later };
    if (exception?.warned) return { ...place, ...asWarned(warnings.find(({ path }) => path === used.at)) };
    return { ...place, classification: classification(exception), consequence: exception?.consequence ?? '' };
  });
}

// The installer's file: of it only the mesh's settings mean something here.
function ofInstaller(document: ParsedDocument, raw: RawObject, whole: Whole): MigratedObject {
  const spec = isMap(raw.content['spec']) ? raw.content['spec'] : {};
  const errors: FieldError[] = [];
  meshConfig.schema.decode(spec['meshConfig'] ?? {}, 'spec.meshConfig', errors);
  const wrong = errors.map(({ path, message }): MigratedField => ({ field: path, line: document.locate(path).line, classification: 'unsupported', consequence: message }));
  const others = Object.keys(spec).filter((name) => name !== 'meshConfig');
  const installs = others.map((name): MigratedField => ({ field: child('spec', name), line: document.locate(child('spec', name)).line, classification: 'unsupported', consequence: 'is for Istio’s installer: nothing is installed from it' }));
  const fields = [...wrong, ...fieldsOf({ kind: meshConfig as ConfigKind, document, content: spec['meshConfig'] ?? {}, at: 'spec.meshConfig', later: '' }), ...installs];
  const consequence = spec['meshConfig'] === undefined ? 'installs Istio; there is nothing for Meltemi in it' : 'installs Istio: give its meshConfig to pilot as a file or as the ConfigMap istio';
  return { ...whole, classification: worst(fields) === 'unsupported' ? 'unsupported' : 'approximated', consequence, fields };
}

function asWarned(warning: FieldError | undefined): Pick<MigratedField, 'classification' | 'consequence'> {
  if (!warning) return { classification: 'supported', consequence: '' };
  return { classification: warning.message.startsWith('unsupported: ') ? 'unsupported' : 'approximated', consequence: warning.message };
}

function classification(exception: Exception | undefined): Classification {
  if (!exception) return 'supported';
  return exception.support === 'refused' ? 'unsupported' : 'approximated';
}

function worst(fields: readonly MigratedField[]): Classification {
  const order: readonly Classification[] = ['unsupported', 'approximated'];
  return order.find((one) => fields.some((field) => field.classification === one)) ?? 'supported';
}
