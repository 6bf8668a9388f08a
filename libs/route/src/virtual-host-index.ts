/** Finds by authority: exact, then the longest suffix wildcard (`*.example.com`), the longest prefix wildcard (`example.*`), then `*`. */
export class VirtualHostIndex<T> {
  readonly #exact = new Map<string, T>();
  readonly #suffix: Wildcard<T>[] = [];
  readonly #prefix: Wildcard<T>[] = [];
  #any: T | null = null;
  readonly #seen = new Set<string>();
  #lastAuthority: string | null = null;
  #lastFound: T | null = null;

  /** False when the domain is there already, or is no domain pattern. */
  add(domain: string, value: T): 'added' | 'duplicate' | 'invalid' {
    this.#lastAuthority = null;
    const pattern = domain.toLowerCase();
    if (this.#seen.has(pattern)) return 'duplicate';
    this.#seen.add(pattern);
    const star = pattern.indexOf('*');
    if (pattern === '*') this.#any = value;
    else if (star < 0) this.#exact.set(pattern, value);
    else if (star === 0 && pattern.lastIndexOf('*') === 0) insert(this.#suffix, pattern.slice(1), value);
    else if (star === pattern.length - 1) insert(this.#prefix, pattern.slice(0, -1), value);
    else return 'invalid';
    return pattern === '' ? 'invalid' : 'added';
  }

  /** Clients ask for the same host again and again: the last answer is kept. @hot */
  find(authority: string): T | null {
    if (authority === this.#lastAuthority) return this.#lastFound;
    this.#lastFound = this.#look(authority);
    this.#lastAuthority = authority;
    return this.#lastFound;
  }

  #look(authority: string): T | null {
    const host = authority.toLowerCase();
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    for (let i = 0; i < this.#suffix.length; i++) {
      const bucket = this.#suffix[i];
      if (bucket === undefined || host.length <= bucket.length) continue;
      const found = bucket.byText.get(host.slice(host.length - bucket.length));
      if (found !== undefined) return found;
    }
    for (let i = 0; i < this.#prefix.length; i++) {
      const bucket = this.#prefix[i];
      if (bucket === undefined || host.length <= bucket.length) continue;
      const found = bucket.byText.get(host.slice(0, bucket.length));
      if (found !== undefined) return found;
    }
    return this.#any;
  }
}

/** Wildcards whose literal part has one length; buckets are kept longest first. */
interface Wildcard<T> {
  readonly length: number;
  readonly byText: Map<string, T>;
}

function insert<T>(buckets: Wildcard<T>[], text: string, value: T): void {
  let bucket = buckets.find((candidate) => candidate.length === text.length);
  if (!bucket) {
    bucket = { length: text.length, byText: new Map() };
    buckets.push(bucket);
    buckets.sort((a, b) => b.length - a.length);
  }
  bucket.byText.set(text, value);
}

/** "host:8080" → "host", "[::1]:80" → "[::1]"; without a port the authority itself. @hot */
export function stripPort(authority: string): string {
  const colon = authority.lastIndexOf(':');
  if (colon < 0 || authority.charCodeAt(authority.length - 1) === 93) return authority;
  return authority.indexOf(':') === colon || authority.charCodeAt(colon - 1) === 93 ? authority.slice(0, colon) : authority;
}
