/** An encoding on offer. */
export interface Offer {
  readonly encoding: string;
  /** Wins among those that the client likes as much. */
  readonly chooseFirst: boolean;
}

/** Why an encoding was chosen or none was; names are those of Envoy's counters. */
export type EncodingReason = 'header_compressor_used' | 'header_wildcard' | 'header_identity' | 'header_not_valid' | 'no_accept_header';

export interface EncodingChoice {
  /** Null: the body stays as it is. */
  readonly encoding: string | null;
  readonly reason: EncodingReason;
}

const none = (reason: EncodingReason): EncodingChoice => ({ encoding: null, reason });

/** Chooses what a client likes best of the offers (in the order they were made) by its accept-encoding. Source: RFC 9110 §12.5.3. */
export function chooseEncoding(header: string | null, offers: readonly Offer[]): EncodingChoice {
  if (header === null) return none('no_accept_header');
  const wishes = parse(header);
  let best: { encoding: string; q: number; first: boolean; at: number; wildcard: boolean } | null = null;
  for (const [i, { encoding, chooseFirst }] of offers.entries()) {
    const at = wishes.findIndex(({ name }) => name === encoding || (encoding === 'gzip' && name === 'x-gzip'));
    const wish = wishes[at] ?? wishes.find(({ name }) => name === '*');
    if (wish === undefined || wish.q === 0) continue;
    const offer = { encoding, q: wish.q, first: chooseFirst, at: at < 0 ? wishes.length + i : at, wildcard: at < 0 };
    if (best === null || better(offer, best)) best = offer;
  }
  const identity = wishes.find(({ name }) => name === 'identity');
  if (identity !== undefined && identity.q > (best?.q ?? 0)) return none('header_identity');
  if (best === null) return none('header_not_valid');
  return { encoding: best.encoding, reason: best.wildcard ? 'header_wildcard' : 'header_compressor_used' };
}

function better(a: { q: number; first: boolean; at: number }, b: { q: number; first: boolean; at: number }): boolean {
  if (a.q !== b.q) return a.q > b.q;
  // The last that wants to be first is.
  if (a.first || b.first) return a.first;
  return a.at < b.at;
}

/** Names in lower case with their weights; those with a broken weight are left out. */
function parse(header: string): { name: string; q: number }[] {
  return header.split(',').flatMap((item) => {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    if (name === '') return [];
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    if (weight === undefined) return [{ name, q: 1 }];
    return /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(weight) ? [{ name, q: Number(weight.slice(2)) }] : [];
  });
}
