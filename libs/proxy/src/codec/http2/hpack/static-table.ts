/** RFC 7541 appendix A: index 1 is the first; a name without "=" has no value. */
const rows =
  ':authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204|:status=206|:status=304|:status=400|:status=404|:status=500|' +
  'accept-charset|accept-encoding=gzip, deflate|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|' +
  'content-encoding|content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|' +
  'if-range|if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|' +
  'strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate';

export interface StaticEntry {
  readonly name: string;
  readonly value: string;
}

/** The static table; place 0 is no entry. */
export const staticTable: readonly StaticEntry[] = [{ name: '', value: '' }, ...rows.split('|').map(entry)];

/** Entries of the static table; dynamic indices begin behind it. */
export const staticSize = 61;

function entry(row: string): StaticEntry {
  const equals = row.indexOf('=');
  return equals < 0 ? { name: row, value: '' } : { name: row.slice(0, equals), value: row.slice(equals + 1) };
}
