/** What an expression of CEL says. */
export type Node =
  | { readonly kind: 'value'; readonly value: string | number | boolean | null }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'field'; readonly of: Node; readonly name: string }
  | { readonly kind: 'index'; readonly of: Node; readonly key: Node }
  | { readonly kind: 'list'; readonly items: readonly Node[] }
  /** A function of its own (`of` null), a method, or an operator by its sign. */
  | { readonly kind: 'call'; readonly name: string; readonly of: Node | null; readonly args: readonly Node[] };

/** Longest expression, in characters, and deepest nesting. */
const maxLength = 4096;
const maxDepth = 64;

/** Thrown here and caught by `compileCel` alone. */
export class CelSyntaxError extends Error {}

/** It may be CEL, but is more than is read here. */
class TooLarge extends CelSyntaxError {}

/** What CEL has and this subset has not: maps, messages, raw texts and bytes, other numbers, comments, names from the root. */
const beyond = /[{`]|\/\/|"{3}|'{3}|\b[rRbB]{1,2}["']|\b0[xX]|\d[eE]|\.\d|\d\.(?!\d)|[?[(,!\s]\.|^\./;

/** Why a text is surely no expression of CEL, or undefined. What is only not run here is no mistake. */
export function celSyntaxReason(text: string): string | undefined {
  try {
    parseCel(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof CelSyntaxError)) throw error;
    return error instanceof TooLarge || beyond.test(text) ? undefined : `${JSON.stringify(text)}: ${error.message}`;
  }
}

const tokens = /\s*(?:(\d+\.\d+|\d+)[uU]?|([a-zA-Z_]\w*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(&&|\|\||[<>=!]=|[-+*/%<>!?:.,()[\]{}]))/y;

type Token = { readonly kind: 'number' | 'name' | 'text' | 'sign'; readonly text: string };

/** Parses the subset that is run here: no maps, macros or comprehensions. */
export function parseCel(text: string): Node {
  if (text.length > maxLength) throw new TooLarge(`the expression is longer than ${maxLength} characters`);
  return new Parser(tokenize(text)).parse();
}

function tokenize(text: string): Token[] {
  const found: Token[] = [];
  const end = text.trimEnd().length;
  tokens.lastIndex = 0;
  while (tokens.lastIndex < end) {
    const at = tokens.lastIndex;
    const match = tokens.exec(text);
    if (!match) throw new CelSyntaxError(`"${text.slice(at).trim().slice(0, 20)}" is not CEL`);
    const [, number, name, literal, sign] = match;
    if (number !== undefined) found.push({ kind: 'number', text: number });
    else if (name !== undefined) found.push({ kind: 'name', text: name });
    else if (literal !== undefined) found.push({ kind: 'text', text: unquoted(literal) });
    else found.push({ kind: 'sign', text: sign ?? '' });
  }
  return found;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

function unquoted(literal: string): string {
  return literal.slice(1, -1).replace(/\\(.)/gs, (_, char: string) => escapes[char] ?? char);
}

/** Loosest first. */
const binary: readonly (readonly string[])[] = [['||'], ['&&'], ['==', '!=', '<=', '>=', '<', '>', 'in'], ['+', '-'], ['*', '/', '%']];

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(list: readonly Token[]) {
    this.#tokens = list;
  }

  parse(): Node {
    const node = this.#expression();
    const rest = this.#tokens[this.#at];
    if (rest) throw new CelSyntaxError(`"${rest.text}" is not expected there`);
    return node;
  }

  #expression(): Node {
    if (++this.#depth > maxDepth) throw new TooLarge(`the expression is nested deeper than ${maxDepth}`);
    const condition = this.#binary(0);
    let node = condition;
    if (this.#take('?')) {
      const then = this.#expression();
      this.#expect(':');
      node = call('?:', [condition, then, this.#expression()]);
    }
    this.#depth--;
    return node;
  }

  #binary(level: number): Node {
    const signs = binary[level];
    if (!signs) return this.#unary();
    let left = this.#binary(level + 1);
    for (let sign = signs.find((one) => this.#take(one)); sign !== undefined; sign = signs.find((one) => this.#take(one))) left = call(sign, [left, this.#binary(level + 1)]);
    return left;
  }

  #unary(): Node {
    let nots = 0;
    while (this.#take('!')) nots++;
    const minus = nots === 0 && this.#take('-');
    const inner = this.#member(this.#primary());
    if (minus) return call('0-', [inner]);
    return nots % 2 === 1 ? call('!', [inner]) : inner;
  }

  #member(start: Node): Node {
    let node = start;
    for (;;) {
      if (this.#take('.')) {
        const name = this.#name();
        node = this.#take('(') ? { kind: 'call', name, of: node, args: this.#list(')') } : { kind: 'field', of: node, name };
      } else if (this.#take('[')) {
        node = { kind: 'index', of: node, key: this.#expression() };
        this.#expect(']');
      } else return node;
    }
  }

  #primary(): Node {
    if (this.#take('(')) {
      const inner = this.#expression();
      this.#expect(')');
      return inner;
    }
    if (this.#take('[')) return { kind: 'list', items: this.#list(']') };
    const token = this.#tokens[this.#at++];
    if (token?.kind === 'number') return { kind: 'value', value: Number(token.text) };
    if (token?.kind === 'text') return { kind: 'value', value: token.text };
    if (token?.kind !== 'name') throw new CelSyntaxError(token ? `"${token.text}" is not expected there` : 'the expression ends too soon');
    if (token.text === 'true' || token.text === 'false') return { kind: 'value', value: token.text === 'true' };
    if (token.text === 'null') return { kind: 'value', value: null };
    return this.#take('(') ? { kind: 'call', name: token.text, of: null, args: this.#list(')') } : { kind: 'name', name: token.text };
  }

  #list(end: string): Node[] {
    const items: Node[] = [];
    if (this.#take(end)) return items;
    do items.push(this.#expression());
    while (this.#take(','));
    this.#expect(end);
    return items;
  }

  #name(): string {
    const token = this.#tokens[this.#at++];
    if (token?.kind !== 'name') throw new CelSyntaxError('a name must follow "."');
    return token.text;
  }

  #take(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.text !== text || (token.kind !== 'sign' && !(token.kind === 'name' && text === 'in'))) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) throw new CelSyntaxError(`"${text}" is missing`);
  }
}

function call(name: string, args: readonly Node[]): Node {
  return { kind: 'call', name, of: null, args };
}
