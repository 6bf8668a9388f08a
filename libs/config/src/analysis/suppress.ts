import { fullName, originOf, type AnalyzedObject } from './object.ts';

const annotation = 'galley.istio.io/analyze-suppress';

/** `IST0102=Namespace foo`: a code, and the objects it is not reported for, with `*` for anything. */
export interface Suppression {
  readonly code: string;
  readonly origin: string;
}

/** Reads "CODE=ORIGIN"; undefined when it is not of that form. */
export function parseSuppression(text: string): Suppression | undefined {
  const [code = '', origin = '', ...more] = text.split('=');
  return code === '' || origin === '' || more.length > 0 ? undefined : { code, origin };
}

/** True when the object's annotation or one of the suppressions takes the code out. */
export function isSuppressed(object: AnalyzedObject, code: string, suppressions: readonly Suppression[]): boolean {
  const here = (object.meta.annotations[annotation] ?? '').split(',').map((one) => one.trim());
  if (here.includes('*') || here.includes(code)) return true;
  // Istio's own output has named objects both ways.
  const names = [originOf(object), `${object.key.kind} ${fullName(object)}`];
  return suppressions.some((one) => one.code === code && names.some((name) => globMatches(one.origin, name)));
}

function globMatches(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return pattern === name;
  const last = rest.pop() ?? '';
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  const end = name.length - last.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= end;
}
