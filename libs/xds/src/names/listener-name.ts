/** Listeners that every sidecar has. */
export const wellKnownListeners = { outbound: 'virtualOutbound', inbound: 'virtualInbound' } as const;

/** What a generated listener name says. */
export type ListenerName =
  | { readonly kind: 'virtual-outbound' }
  | { readonly kind: 'virtual-inbound' }
  | { readonly kind: 'address'; readonly address: string; readonly port: number };

/** "10.0.0.1_9080"; "0.0.0.0_9080" serves every address of the port. IPv6 addresses stand as they are: "::_9080". */
export function addressListener(address: string, port: number): string {
  return `${address}_${port}`;
}

/** Reads any of the names above; undefined for another one. Unix sockets ("/run/app.sock_0") keep their path as the address. */
export function parseListenerName(name: string): ListenerName | undefined {
  if (name === wellKnownListeners.outbound) return { kind: 'virtual-outbound' };
  if (name === wellKnownListeners.inbound) return { kind: 'virtual-inbound' };
  const matched = /^(.+)_([0-9]{1,5})$/s.exec(name);
  const address = matched?.[1];
  const port = Number(matched?.[2]);
  if (address === undefined || port > 65535) return undefined;
  return { kind: 'address', address, port };
}
