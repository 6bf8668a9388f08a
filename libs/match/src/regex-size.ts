/**
 * About how many states a matcher of this pattern has, without making one: counted repetitions multiply what they repeat. Knows just so much of
 * RE2's language; a pattern that is wrong gets some number.
 */
export function regexStates(pattern: string): number {
  /** Of the open groups: states so far. */
  const open: number[] = [];
  let states = 0;
  let last = 0;
  for (let at = 0; at < pattern.length; ) {
    const char = pattern[at];
    if (char === '(') {
      open.push(states);
      [states, last] = [0, 0];
      at++;
    } else if (char === ')') {
      last = states + 2;
      states = (open.pop() ?? 0) + last;
      at++;
    } else if (char === '*' || char === '+' || char === '?') {
      states++;
      last++;
      at++;
    } else if (char === '{') {
      const [whole, least = '', comma, most = ''] = /^\{(\d+)(,(\d*))?\}/.exec(pattern.slice(at, at + 24)) ?? ['{'];
      if (least !== '') {
        // What may be left out costs a choice besides.
        const times = comma === undefined ? Number(least) : Number(least) + (most === '' ? 1 : 2 * Math.max(0, Number(most) - Number(least)));
        states += last * (Math.max(1, times) - 1);
        last *= Math.max(1, times);
      } else [states, last] = [states + 1, 1];
      at += whole.length;
    } else {
      [states, last] = [states + 1, 1];
      at += char === '\\' ? 2 : char === '[' ? classLength(pattern, at) : 1;
    }
    if (states > Number.MAX_SAFE_INTEGER) return Infinity;
  }
  return open.reduce((sum, one) => sum + one, states);
}

function classLength(pattern: string, start: number): number {
  let at = start + 1;
  if (pattern[at] === '^') at++;
  // A bracket that comes first is one of the class.
  if (pattern[at] === ']') at++;
  while (at < pattern.length && pattern[at] !== ']') at += pattern[at] === '\\' ? 2 : pattern.startsWith('[:', at) ? Math.max(2, pattern.indexOf(':]', at) + 2 - at) : 1;
  return at + 1 - start;
}
