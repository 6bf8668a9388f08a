import { isScalar, visit, type Document } from 'yaml';

/** Keys written twice in one map: the parser's own check compares every pair of keys, which a large map makes too slow. */
export function duplicateKeys(document: Document): { readonly key: string; readonly offset: number }[] {
  const duplicates: { key: string; offset: number }[] = [];
  visit(document, {
    Map(_, node) {
      const seen = new Set<unknown>();
      for (const { key } of node.items) {
        if (!isScalar(key) || key.value === '<<') continue;
        const name = typeof key.value === 'string' ? key.value : JSON.stringify(key.value);
        if (seen.has(name)) duplicates.push({ key: name, offset: key.range?.[0] ?? 0 });
        seen.add(name);
      }
    },
  });
  return duplicates;
}
