/** What a YAML file may cost. Kubernetes stops at 1.5 MiB per object; a file may hold a few. */
export const yamlLimits = {
  maxBytes: 4 * 1024 * 1024,
  /** Times aliases may multiply the content. */
  maxAliases: 100,
  maxDepth: 64,
} as const;

/** Why a value nests too deeply, or undefined. Walks without recursion, so depth cannot hurt it. */
export function depthReason(value: unknown): string | undefined {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > yamlLimits.maxDepth) return `is nested more than ${yamlLimits.maxDepth} levels deep`;
    const seen = new Set<unknown>();
    for (const one of level) if (typeof one === 'object' && one !== null) for (const inner of Object.values(one)) if (typeof inner === 'object') seen.add(inner);
    level = [...seen];
  }
  return undefined;
}
