import { createHash } from 'node:crypto';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';

/** One resource, encoded once and shared by every client that gets the same bytes. */
export interface XdsResource {
  readonly name: string;
  /** Hash of the encoded bytes: equal content has equal version, on every pilot and after every restart. */
  readonly version: string;
  readonly any: Any;
  /** Clusters that it points at: it is not sent before the client has them. Whoever makes the resource knows; asked only when some are on their way. */
  readonly pointsAt?: () => Iterable<string>;
  /** How long a client may hold it without hearing of it again; undefined = for ever. */
  readonly ttlMs?: number;
}

/** All resources of one type for one client: immutable, replaced whole. The same object given again costs nothing to compare. */
export interface ResourceSet {
  readonly typeUrl: string;
  /** Hash over names and versions: what SotW sends as version_info and delta as system_version_info. */
  readonly version: string;
  readonly resources: ReadonlyMap<string, XdsResource>;
}

/** What one client should have, under a name the caller chose. */
export interface XdsSnapshot {
  /** Opaque; comes back in `follow` events. */
  readonly revision: string;
  /** By type URL. A type that is not here is not served: its subscribers wait, and keep what they have. */
  readonly resources: ReadonlyMap<string, ResourceSet>;
}

/** Wraps an encoded message; computes its version. */
export function xdsResource(name: string, any: Any, pointsAt?: () => Iterable<string>): XdsResource {
  return { name, version: shortHash(any.value), any, ...(pointsAt ? { pointsAt } : {}) };
}

/** Builds a set; of two resources with one name the later wins. Sets with equal content have equal versions, whatever the order. */
export function resourceSet(typeUrl: string, resources: Iterable<XdsResource>): ResourceSet {
  const byName = new Map<string, XdsResource>();
  for (const resource of resources) byName.set(resource.name, resource);
  let version: string | undefined;
  return {
    typeUrl,
    resources: byName,
    // Computed when first sent: most sets of a push equal what the client has and are never asked.
    get version() {
      return (version ??= versionOfAll(byName.values()));
    },
  };
}

/** The version of a group of resources: independent of their order. */
export function versionOfAll(resources: Iterable<XdsResource>): string {
  const lines: string[] = [];
  for (const { name, version } of resources) lines.push(`${name}\0${version}\n`);
  return shortHash(Buffer.from(lines.sort().join('')));
}

/** A snapshot from sets. */
export function xdsSnapshot(revision: string, sets: Iterable<ResourceSet>): XdsSnapshot {
  const resources = new Map<string, ResourceSet>();
  for (const set of sets) resources.set(set.typeUrl, set);
  return { revision, resources };
}

/** 96 bits of SHA-256: collisions are out of reach, and the version stays short on the wire. */
export function shortHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
}
