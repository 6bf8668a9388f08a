/** An answer that is kept. */
interface Recent<T> {
  readonly authority: string;
  readonly found: T | null;
}

/** Answers kept, each at the place of its authority's hash; a power of two. */
const mostRecent = 256;
const longestRecent = 256;

/** Finds by authority: exact, then the longest suffix wildcard (`*.example.com`), the longest prefix wildcard (`example.*`), then `*`. */
export class VirtualHostIndex<T> {
  readonly #exact = new Map<string, T>();
  readonly #suffix: Wildcard<T>[] = [];
  readonly #prefix: Wildcard<T>[] = [];
  #any: T | null = null;
  readonly #seen = new Set<string>();
  #recent: (Recent<T> | undefined)[] = [];

  /** False when the domain is there already, or is no domain pattern. */
  add(domain: string, value: T): 'added' | 'duplicate' | 'invalid' {
    this.#recent.length = 0;
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

  /**
   * Clients ask for the same few hosts: answers are kept. A Map would intern the text that it is asked for, which takes as long as all the rest of a
   * match, and leave the request with a string whose characters are slow to read from then on. @hot
   */
  find(authority: string): T | null {
    const place = placeOf(authority);
    const recent = this.#recent[place];
    if (recent !== undefined && recent.authority === authority) return recent.found;
    if (authority.length > longestRecent) return this.#look(authority);
    // A flat copy: a slice would keep its whole head alive.
    const own = Buffer.from(authority, 'latin1').toString('latin1');
    if (own !== authority) return this.#look(authority);
    const found = this.#look(own);
    this.#recent[place] = { authority: own, found };
    return found;
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

function placeOf(text: string): number {
  const length = Math.min(text.length, longestRecent);
  let hash = length;
  for (let i = 0; i < length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return (hash ^ (hash >>> 8)) & (mostRecent - 1);
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
