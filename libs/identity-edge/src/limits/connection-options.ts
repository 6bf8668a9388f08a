import type { ConnectionLimits } from './connection-limits.ts';

/** The bounds that operators set: how large a mesh is, and how it is wired, nobody else knows. */
export type ConnectionBounds = Pick<ConnectionLimits, 'maxConnections' | 'maxPerAddress' | 'maxPerIdentity'>;

/** Flags for a program that limits connections (`limitConnections`), as its option frame wants them. */
export function connectionOptions({ maxConnections, maxPerAddress, maxPerIdentity }: ConnectionBounds) {
  return [
    { name: 'max-connections', type: 'int', min: 1, max: 1_000_000, default: String(maxConnections), description: 'connections of all clients together; more are closed at once' },
    { name: 'max-connections-per-address', type: 'int', min: 1, max: 1_000_000, default: String(maxPerAddress), description: 'connections from one address; honest clients may share one (one machine, NAT)' },
    { name: 'max-connections-per-identity', type: 'int', min: 1, max: 1_000_000, default: String(maxPerIdentity), description: 'connections of one verified identity; replicas of a workload share theirs' },
  ] as const;
}

/** What these flags say. */
export function connectionBounds(values: { readonly 'max-connections': number; readonly 'max-connections-per-address': number; readonly 'max-connections-per-identity': number }): ConnectionBounds {
  return { maxConnections: values['max-connections'], maxPerAddress: values['max-connections-per-address'], maxPerIdentity: values['max-connections-per-identity'] };
}
