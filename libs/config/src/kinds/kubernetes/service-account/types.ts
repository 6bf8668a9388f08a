/** A ServiceAccount matters for its name only. */
export type ServiceAccountSpec = Readonly<Record<string, never>>;
