import { ok, type FieldError, type Result } from '@meltemi/base';
import { groupOwner, splitApiVersion } from './envelope.ts';
import type { ConfigKind } from './kinds/kind.ts';
import { closestKind, findKind } from './kinds/registry.ts';
import { checkMetadata, decodeMetadata } from './metadata.ts';
import type { Config, ObjectMeta, RawObject } from './object.ts';
import { Findings } from './rules/findings.ts';
import { isMap } from './schema/containers.ts';
import { suggestion } from './schema/suggestion.ts';
import { child } from './schema/schema.ts';
import { checkSupport } from './support/check.ts';

/** A valid object, and what its author should know about it. */
export interface Decoded {
  readonly config: Config;
  readonly warnings: readonly FieldError[];
  /** 'full': acted on; 'later': known but not acted on yet; 'foreign': not ours, `spec` is the whole object as written. */
  readonly acts: ConfigKind['acts'] | 'foreign';
}

/**
 * Untyped object → typed, defaulted, valid Config, or every reason why not (paths into `raw.content`). Never throws, whatever the content.
 * Kinds nobody here knows pass with a warning, unless their group is Istio's: there they are typing mistakes.
 */
export function decode(raw: RawObject): Result<Decoded> {
  const kind = findKind(raw.key.group, raw.key.kind);
  return kind === undefined ? decodeForeign(raw) : decodeKnown(raw, kind);
}

function decodeKnown(raw: RawObject, kind: ConfigKind): Result<Decoded> {
  const findings = new Findings();
  const { version } = splitApiVersion(raw.apiVersion);
  if (!kind.versions.includes(version)) {
    const supported = kind.versions.map((one) => (kind.group === '' ? one : `${kind.group}/${one}`)).join(', ');
    findings.error('apiVersion', `${kind.kind} has no version "${version}"; supported are ${supported}`);
    return { ok: false, error: findings.errors };
  }
  const written = decodeMetadata(raw.content['metadata'], findings.errors);
  const meta: ObjectMeta = { ...written, namespace: raw.key.namespace };
  if (findings.errors.length === 0) checkMetadata(written, kind, findings);
  checkTopLevel(raw, kind, findings);
  const read = decodeSpec(raw, kind, findings.errors);
  const spec = kind.tolerate ? kind.tolerate(read, findings) : read;
  if (findings.errors.length === 0) {
    kind.validate(spec, meta, findings);
    checkSupport(kind, raw.content['spec'], findings);
  }
  if (findings.errors.length > 0) return { ok: false, error: findings.errors };
  if (kind.acts === 'later') findings.warn('', `${kind.kind} is valid, but Meltemi does not act on it yet`);
  const { status } = raw.content;
  const noted = kind.body !== 'object' && isMap(status) ? { status } : {};
  return ok({ config: { key: raw.key, apiVersion: raw.apiVersion, meta, spec, ...noted }, warnings: findings.warnings, acts: kind.acts });
}

function decodeSpec(raw: RawObject, kind: ConfigKind, errors: FieldError[]): unknown {
  if (kind.body === 'object') return kind.schema.decode(raw.content, '', errors);
  const { spec } = raw.content;
  return spec === undefined || spec === null ? kind.schema.missing('spec', errors) : kind.schema.decode(spec, 'spec', errors);
}

const envelope = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];

function checkTopLevel(raw: RawObject, kind: ConfigKind, findings: Findings): void {
  if (kind.body === 'object' || groupOwner(kind.group) !== 'istio') return;
  for (const name of Object.keys(raw.content))
    if (!envelope.includes(name)) findings.error(child('', name), `unknown field "${name}"${suggestion(name, envelope) || ' (fields of the kind go below spec)'}`);
}

function decodeForeign(raw: RawObject): Result<Decoded> {
  const { group, kind } = raw.key;
  const owner = groupOwner(group);
  const meant = closestKind(group, kind);
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
  const findings = new Findings();
  if (owner === 'istio') findings.error('kind', `"${kind}" is not a kind of ${group}${hint}`);
  const meta = decodeMetadata(raw.content['metadata'], findings.errors);
  if (findings.errors.length === 0 && meta.name === '') findings.error('metadata.name', 'is required');
  if (findings.errors.length > 0) return { ok: false, error: findings.errors };
  const name = group === '' ? kind : `${kind}.${group}`;
  findings.warn('', owner === 'kubernetes' ? `Meltemi does not act on ${name}${hint}` : `${name} is of an API Meltemi does not know, so it is not checked`);
  const config = { key: raw.key, apiVersion: raw.apiVersion, meta: { ...meta, namespace: raw.key.namespace }, spec: isMap(raw.content) ? raw.content : {} };
  return ok({ config, warnings: findings.warnings, acts: 'foreign' });
}
