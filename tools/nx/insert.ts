/** Adds an import line to a file, in the order of the specifiers of imports like it (those that share `beside`, such as "./http/"). */
export function insertImport(text: string, line: string, beside: string): string {
  const lines = text.split('\n');
  const specifier = (candidate: string) => /^import .* from '(.*)';$/.exec(candidate)?.[1];
  const wanted = specifier(line) ?? '';
  const others = lines.map((candidate, index) => ({ index, specifier: specifier(candidate) ?? '' })).filter((each) => each.specifier.startsWith(beside));
  const before = others.filter((each) => each.specifier < wanted).at(-1);
  const first = others[0];
  if (!first) throw new Error(`no import from "${beside}…" to put one beside: mend tools/nx/generators`);
  lines.splice(before ? before.index + 1 : first.index, 0, line);
  return lines.join('\n');
}

/** Adds text right before the one place where `anchor` stands. Throws when it stands nowhere or more than once. */
export function insertBefore(text: string, anchor: string, added: string): string {
  const parts = text.split(anchor);
  if (parts.length !== 2) throw new Error(`"${anchor}" stands ${parts.length - 1} times where a generator expects it once: mend tools/nx/generators`);
  return parts.join(`${added}${anchor}`);
}
