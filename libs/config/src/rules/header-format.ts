/**
 * Why a value is not a format Envoy accepts: text, %% for a percent sign, %COMMAND%, %COMMAND(args)% or %COMMAND(["a","b"])%.
 * Which commands exist is Envoy's business; this only finds what its parser cannot read.
 */
export function formatProblem(value: string): string | undefined {
  let at = 0;
  while ((at = value.indexOf('%', at)) >= 0) {
    if (value[at + 1] === '%') {
      at += 2;
      continue;
    }
    const end = commandEnd(value, at + 1);
    if (end < 0) return `${JSON.stringify(value)} has a "%" that starts no complete %COMMAND%: write "%%" for a percent sign`;
    at = end;
  }
  return undefined;
}

// Index after the closing percent sign, or -1.
function commandEnd(value: string, start: number): number {
  const stop = /[%(]/g;
  stop.lastIndex = start;
  const found = stop.exec(value);
  if (!found) return -1;
  if (found[0] === '%') return found.index + 1;
  const close = argumentsEnd(value, found.index + 1);
  if (close < 0) return -1;
  const rest = /[^ ]/g;
  rest.lastIndex = close;
  const last = rest.exec(value);
  return last?.[0] === '%' ? last.index + 1 : -1;
}

// Index after the closing parenthesis, or -1. Strings in a JSON list may hold parentheses.
function argumentsEnd(value: string, start: number): number {
  const listed = /^ *\[ *("(?:\\.|[^"\\])*"( *, *"(?:\\.|[^"\\])*")*)? *\] *\)/.exec(value.slice(start));
  if (listed) return start + listed[0].length;
  for (let i = start; i < value.length; i++) {
    if (value[i] === '\\') i++;
    else if (value[i] === ')') return i + 1;
  }
  return -1;
}
