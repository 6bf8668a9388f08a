/** A Namespace matters for its labels only, which are in `meta`. */
export type NamespaceSpec = Readonly<Record<string, never>>;
