/** Names one object in the mesh. `group` is "" for Kubernetes' core kinds, "networking.istio.io" and so on otherwise; cluster-scoped kinds have namespace "". */
export interface ConfigKey {
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** metadata of Kubernetes' object model; what Meltemi reads of it. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** RFC 3339; "" when never stored. Decides "the oldest wins". */
  readonly creationTimestamp: string;
}

/**
 * An object as bytes became it: untyped but for its envelope. Stores and sources deal in these; `decode` makes the typed form.
 * `content` is the whole object as JSON values (apiVersion, kind, metadata, spec, …), as the user wrote it.
 */
export interface RawObject {
  readonly key: ConfigKey;
  readonly apiVersion: string;
  readonly content: Readonly<Record<string, unknown>>;
}

/** A decoded, defaulted, valid object of a known kind. `spec` for kinds without one (Endpoints, ServiceAccount) is the object's own fields. */
export interface Config<Spec = unknown> {
  readonly key: ConfigKey;
  readonly apiVersion: string;
  readonly meta: ObjectMeta;
  readonly spec: Spec;
  /** As it was read, not checked: what others have found out about the object. Absent for kinds that are their own spec. */
  readonly status?: Readonly<Record<string, unknown>>;
}

/** "networking.istio.io/VirtualService/default/reviews": for maps and logs. */
export function keyText(key: ConfigKey): string {
  return `${key.group}/${key.kind}/${key.namespace}/${key.name}`;
}
