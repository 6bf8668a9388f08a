const suites = new Set([
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-PSK-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-SHA',
  'ECDHE-RSA-AES128-SHA',
  'ECDHE-PSK-AES128-CBC-SHA',
  'ECDHE-ECDSA-AES256-SHA',
  'ECDHE-RSA-AES256-SHA',
  'ECDHE-PSK-AES256-CBC-SHA',
  'AES128-GCM-SHA256',
  'PSK-AES128-CBC-SHA',
  'AES128-SHA',
  'AES256-GCM-SHA384',
  'PSK-AES256-CBC-SHA',
  'AES256-SHA',
  'DES-CBC3-SHA',
]);

/** BoringSSL's names, which Envoy takes; brackets and "|" group equal preferences: [A|B]. */
export function isCipherSuite(text: string): boolean {
  const names = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1).split('|') : [text];
  return names.every((name) => suites.has(name));
}
