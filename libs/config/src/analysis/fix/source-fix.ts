/** A change of the YAML an object was written in. Paths are into the object's content. */
export type SourceFix =
  /** Gives a key another name, in place. */
  | { readonly do: 'rename'; readonly path: string; readonly to: string }
  /** Replaces a value. */
  | { readonly do: 'replace'; readonly path: string; readonly value: FixValue }
  /** Takes a key with its value, or an item of a list, out. A map or list that becomes empty goes, too. */
  | { readonly do: 'remove'; readonly path: string }
  /** Puts `key: value` into the map at `path`, which is made when it is not there. */
  | { readonly do: 'insert'; readonly path: string; readonly key: string; readonly value: FixValue }
  /** One after the other; none when one of them cannot be done. */
  | { readonly do: 'all'; readonly fixes: readonly SourceFix[] };

/** Written on one line. */
export type FixValue = string | number | boolean | { readonly [key: string]: FixValue } | readonly FixValue[];

/** True when the fix moves items of a list, so that other paths of the document may mean something else afterwards. */
export function movesItems(fix: SourceFix): boolean {
  return fix.do === 'all' ? fix.fixes.some(movesItems) : fix.do === 'remove';
}
