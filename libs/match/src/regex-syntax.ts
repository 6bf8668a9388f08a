/**
 * A small reader of the regular expressions that V8 runs exactly as RE2 would, over ASCII. Whatever it does not know gives null and runs
 * on the linear-time engine instead; so it may be ignorant, never wrong.
 */
export type RegexNode =
  | { readonly kind: 'set'; readonly set: bigint; readonly source: string }
  | { readonly kind: 'sequence'; readonly items: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly branches: readonly RegexNode[] }
  | { readonly kind: 'repeat'; readonly item: RegexNode; readonly min: number; readonly max: number; readonly lazy: boolean }
  | { readonly kind: 'group'; readonly item: RegexNode; readonly capturing: boolean };

export interface ParsedRegex {
  readonly node: RegexNode;
  readonly anchoredStart: boolean;
  readonly anchoredEnd: boolean;
  readonly groups: number;
}

/** Bit 128 stands for every character beyond ASCII. */
export const allCharacters = (1n << 129n) - 1n;
const digits = range(48, 57);
const words = digits | range(65, 90) | range(97, 122) | (1n << 95n);
const spaces = bit(9) | bit(10) | bit(12) | bit(13) | bit(32);
const classes: Readonly<Record<string, readonly [bigint, string]>> = {
  d: [digits, '0-9'], w: [words, '0-9A-Za-z_'], s: [spaces, '\\t\\n\\f\\r '],
};
const maxDepth = 20;

function bit(code: number): bigint {
  return 1n << BigInt(code);
}

function range(from: number, to: number): bigint {
  let set = 0n;
  for (let code = from; code <= to; code++) set |= bit(code);
  return set;
}

class Unsupported extends Error {}

/** The pattern's tree, or null when it uses anything outside the subset. */
export function parseRegex(pattern: string): ParsedRegex | null {
  if (!/^[\x20-\x7e]*$/.test(pattern)) return null;
  const anchoredStart = pattern.startsWith('^');
  const anchoredEnd = pattern.endsWith('$') && !pattern.slice(0, -1).endsWith('\\');
  const reader = new Reader(pattern.slice(anchoredStart ? 1 : 0, anchoredEnd ? -1 : undefined));
  try {
    const node = reader.choice(0);
    // "^a|b$" binds the anchors to the branches, which this subset does not say.
    if (!reader.atEnd || (node.kind === 'choice' && (anchoredStart || anchoredEnd))) return null;
    return { node, anchoredStart, anchoredEnd, groups: reader.groups };
  } catch (error) {
    if (error instanceof Unsupported) return null;
    throw error;
  }
}

class Reader {
  groups = 0;
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  choice(depth: number): RegexNode {
    if (depth > maxDepth) throw new Unsupported();
    const branches = [this.#sequence(depth)];
    while (this.#take('|')) branches.push(this.#sequence(depth));
    const [first] = branches;
    return branches.length === 1 && first ? first : { kind: 'choice', branches };
  }

  #sequence(depth: number): RegexNode {
    const items: RegexNode[] = [];
    while (!this.atEnd && this.#peek() !== '|' && this.#peek() !== ')') items.push(this.#repeat(this.#atom(depth)));
    return { kind: 'sequence', items };
  }

  #repeat(item: RegexNode): RegexNode {
    const bounds = this.#bounds();
    if (!bounds) return item;
    const lazy = this.#take('?');
    if ('*+?{'.includes(this.#peek() || ' ')) throw new Unsupported();
    return { kind: 'repeat', item, min: bounds[0], max: bounds[1], lazy };
  }

  #bounds(): readonly [number, number] | null {
    if (this.#take('*')) return [0, Infinity];
    if (this.#take('+')) return [1, Infinity];
    if (this.#take('?')) return [0, 1];
    if (this.#peek() !== '{') return null;
    const match = /^\{(\d{1,3})(,(\d{1,3})?)?\}/.exec(this.#text.slice(this.#at));
    if (!match) throw new Unsupported();
    this.#at += match[0].length;
    const min = Number(match[1]);
    return [min, match[2] === undefined ? min : match[3] === undefined ? Infinity : Number(match[3])];
  }

  #atom(depth: number): RegexNode {
    const char = this.#next();
    if (char === '(') return this.#group(depth);
    if (char === '[') return this.#class();
    if (char === '.') return { kind: 'set', set: allCharacters & ~bit(10), source: '[^\\n]' };
    if (char === '\\') {
      const [set, source] = this.#escape();
      return { kind: 'set', set, source: `[${source}]` };
    }
    if ('^$*+?{}]'.includes(char)) throw new Unsupported();
    return { kind: 'set', set: bit(char.charCodeAt(0)), source: literal(char) };
  }

  #group(depth: number): RegexNode {
    let capturing = true;
    if (this.#take('?')) {
      if (!this.#take(':')) throw new Unsupported();
      capturing = false;
    } else this.groups++;
    const item = this.choice(depth + 1);
    if (!this.#take(')')) throw new Unsupported();
    return { kind: 'group', item, capturing };
  }

  /** After a backslash: a class letter or an escaped punctuation character. */
  #escape(): readonly [bigint, string] {
    const char = this.#next();
    const known = classes[char];
    if (known) return known;
    if (!/[!-/:-@[-`{-~]/.test(char)) throw new Unsupported();
    return [bit(char.charCodeAt(0)), inClass(char)];
  }

  #class(): RegexNode {
    const negated = this.#take('^');
    let set = 0n;
    let source = '';
    let first = true;
    while (first || this.#peek() !== ']') {
      const [from, text] = this.#classItem();
      set |= from;
      source += text;
      first = false;
    }
    this.#at++;
    return { kind: 'set', set: negated ? allCharacters & ~set : set, source: `[${negated ? '^' : ''}${source}]` };
  }

  #classItem(): readonly [bigint, string] {
    const from = this.#classCharacter();
    if (this.#peek() !== '-' || this.#text[this.#at + 1] === ']') return typeof from === 'string' ? [bit(from.charCodeAt(0)), inClass(from)] : from;
    this.#at++;
    const to = this.#classCharacter();
    if (typeof from !== 'string' || typeof to !== 'string' || to < from) throw new Unsupported();
    return [range(from.charCodeAt(0), to.charCodeAt(0)), `${inClass(from)}-${inClass(to)}`];
  }

  #classCharacter(): string | readonly [bigint, string] {
    const char = this.#next();
    if (char === '[' || char === ']' || char === '&') throw new Unsupported();
    if (char !== '\\') return char;
    const escaped = this.#peek();
    return classes[escaped] ? this.#escape() : (this.#escape(), escaped);
  }

  #peek(): string {
    return this.#text[this.#at] ?? '';
  }

  #next(): string {
    const char = this.#text[this.#at++];
    if (char === undefined) throw new Unsupported();
    return char;
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }
}

function literal(char: string): string {
  return /[A-Za-z0-9_ ]/.test(char) ? char : `\\${char}`.replace(/^\\([!"#%&',:;<=>@`~-])$/, '$1');
}

function inClass(char: string): string {
  return /[\\\]^[-]/.test(char) ? `\\${char}` : char;
}

/** The tree as a pattern for V8, meaning what RE2 means. */
export function toJavaScript(node: RegexNode): string {
  switch (node.kind) {
    case 'set':
      return node.source;
    case 'sequence':
      return node.items.map(toJavaScript).join('');
    case 'choice':
      return `(?:${node.branches.map(toJavaScript).join('|')})`;
    case 'group':
      return `${node.capturing ? '(' : '(?:'}${toJavaScript(node.item)})`;
    case 'repeat':
      return `${atomText(node.item)}{${node.min},${node.max === Infinity ? '' : node.max}}${node.lazy ? '?' : ''}`;
  }
}

function atomText(node: RegexNode): string {
  return node.kind === 'set' || node.kind === 'group' ? toJavaScript(node) : `(?:${toJavaScript(node)})`;
}
