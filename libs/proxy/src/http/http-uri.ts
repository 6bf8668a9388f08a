/** Host and path of an absolute http or https URI that a config names (HttpUri); null for anything else. */
export function splitHttpUri(uri: string): { readonly authority: string; readonly path: string } | null {
  const [, authority, path = ''] = /^https?:\/\/([^/?#\s@]+)([/?][^#\s]*)?$/i.exec(uri) ?? [];
  if (authority === undefined) return null;
  return { authority, path: path.startsWith('/') ? path : `/${path}` };
}
