import { isDeepStrictEqual } from 'node:util';
import type { Listener, SocketTarget } from '@meltemi/snapshot';
import type { AcceptedSocket } from '../transport/accepted-socket.ts';
import type { ListenSocket } from '../transport/listen.ts';
import type { Destination } from './arrival.ts';
import type { Generation } from './generation.ts';

/** A socket, and the config of who comes in by it; null = not let in. */
export interface Door {
  generation: Generation | null;
  /** The address by that config: its port may be 0. */
  target: SocketTarget;
  readonly socket: ListenSocket;
}

/** An address of the next config, and the door that is there already; null = to be bound. */
export interface Place {
  readonly target: SocketTarget;
  readonly door: Door | null;
}

/** The addresses of a config, each with the door of `doors` that fits it. */
export function placesOf(doors: readonly Door[], { bindToPort, addresses }: Listener): Place[] {
  if (!bindToPort) return [];
  const free = new Set(doors);
  const take = (fits: (door: Door) => boolean): Door | null => {
    const door = [...free].find(fits) ?? null;
    if (door !== null) free.delete(door);
    return door;
  };
  const named = addresses.map((target) => ({ target, door: take(({ socket }) => isDeepStrictEqual(socket.target, target)) }));
  // An open port goes to one that nobody names.
  return named.map(({ target, door }) => ({ target, door: door ?? take((other) => isDeepStrictEqual(other.target, target)) }));
}

/** Resolves when all their ports are free. */
export async function closeAll(doors: readonly Door[]): Promise<void> {
  await Promise.all(doors.map(({ socket }) => socket.close()));
}

/**
 * Where the client was going. A connection to this very port was not captured, whatever rule it passed: following it to its destination
 * would lead back here.
 */
export function destinationOf(accepted: AcceptedSocket, { listener, socketOptions }: Generation, isOwnPort: (port: number) => boolean): Destination {
  const own = { ip: accepted.localIp, port: accepted.localPort };
  const original = socketOptions?.originalDestination(accepted.fd) ?? own;
  if (original.ip !== own.ip || original.port !== own.port) return { ...original, captured: true };
  // Under TPROXY the kernel leaves the destination in place: the local address is it.
  return { ...own, captured: listener.transparent && !isOwnPort(own.port) };
}
