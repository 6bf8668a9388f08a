/** What the lexer writes before the text of a plain scalar. */
const scalar = '\u001f';

/**
 * The lexer's tokens, with a colon right before "," or a closing bracket as part of the plain text it follows: [fd00::] is a list of one
 * address, as in Kubernetes' YAML reader. YAML 1.2 makes a map with an empty value of it.
 */
export function* withFlowColons(tokens: Iterable<string>): Generator<string, void> {
  let held: string[] = [];
  for (const token of tokens) {
    if (held.length === 0 && token !== scalar) {
      yield token;
      continue;
    }
    held.push(token);
    if (mayEndInColon(held)) continue;
    if (endsInColon(held)) yield* [scalar, `${held[1] ?? ''}:`, token];
    else yield* held;
    held = [];
  }
  yield* held;
}

/** scalar, text, ":" and, before a comma, the empty value it announces. */
function mayEndInColon([, text, colon, mark, value, end]: readonly string[]): boolean {
  if (text === '' || (colon !== undefined && colon !== ':')) return false;
  return mark === undefined || (mark === scalar && (value === undefined || (value === '' && end === undefined)));
}

function endsInColon(held: readonly string[]): boolean {
  return held[2] === ':' && (held.length === 4 || held.length === 6) && [',', ']', '}'].includes(held.at(-1) ?? '');
}
