/** True when all of `expected` stand in `data`, in their order, whatever stands between and around them. */
export function payloadsMatch(expected: readonly Buffer[], data: Buffer): boolean {
  let at = 0;
  for (const part of expected) {
    const found = data.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return true;
}
