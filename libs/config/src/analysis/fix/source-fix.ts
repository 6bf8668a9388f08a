/** A change of the YAML an object was written in. Paths are into the object's content. */
export type SourceFix =
  /** Gives a key another name, in place. */
  | { readonly do: 'rename'; readonly path: string; readonly to: string }
  /** Replaces a scalar, or the whole value when it fits one line. */
  | { readonly do: 'replace'; readonly path: string; readonly value: string }
  /** Takes a key with its value, or an item of a list, out. A map or list that becomes empty goes, too. */
  | { readonly do: 'remove'; readonly path: string }
  /** Puts `key: value` into the map at `path`, which is made when it is not there. */
  | { readonly do: 'insert'; readonly path: string; readonly key: string; readonly value: string }
  /** Both, as one. */
  | { readonly do: 'all'; readonly fixes: readonly SourceFix[] };
