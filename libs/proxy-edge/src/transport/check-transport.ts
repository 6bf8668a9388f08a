import type { CheckTransport } from '@meltemi/proxy';
import { dial, type DialOptions } from './dial.ts';

/** Connections for checks: each is dialled as `options` says when it is wanted. The checker has a deadline of its own; the dial's only makes sure that it ends. */
export function checkTransport(options: () => DialOptions): CheckTransport {
  return { connect: (result) => dial(options(), { onOpen: (connection) => result.onOpen(connection), onFailure: ({ cause }) => result.onFailure(cause.message) }) };
}
