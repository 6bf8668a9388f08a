import { X509Certificate } from 'node:crypto';

/** The SPIFFE id of a verified client certificate (DER); undefined unless it has exactly one. Source: SPIFFE X.509-SVID §2. */
export function spiffeIdOf(der: Uint8Array): string | undefined {
  const names = parseAltNames(new X509Certificate(der).subjectAltName ?? '');
  const uris = names?.filter((name) => name.kind === 'URI') ?? [];
  const [only] = uris;
  return uris.length === 1 && only?.value.startsWith('spiffe://') ? only.value : undefined;
}

/** The last moment a certificate (DER) is good for, milliseconds since the epoch. */
export function certificateEndsMs(der: Uint8Array): number {
  return new X509Certificate(der).validToDate.getTime();
}

/**
 * Splits node's "URI:…, DNS:…" text. Values with commas or quotes stand in JSON quotes, so that no value can pretend to be two; a text
 * that does not parse to its end is no list.
 */
export function parseAltNames(text: string): { readonly kind: string; readonly value: string }[] | undefined {
  const names: { kind: string; value: string }[] = [];
  const entry = /([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;
  for (let at = 0; at < text.length; at = entry.lastIndex) {
    entry.lastIndex = at;
    const matched = entry.exec(text);
    const [, kind, value] = matched ?? [];
    if (kind === undefined || value === undefined) return undefined;
    names.push({ kind, value: value.startsWith('"') ? unquoted(value) : value });
  }
  return names;
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return '';
  }
}
