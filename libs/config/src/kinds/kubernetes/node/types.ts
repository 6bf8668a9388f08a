/** A Node matters for its labels only, which are in `meta`. */
export type NodeSpec = Readonly<Record<string, never>>;
