import { extensionExceptions } from './exceptions-extensions.ts';
import { gatewayApiExceptions } from './exceptions-gateway-api.ts';
import { meshExceptions } from './exceptions-mesh.ts';
import { proxyExceptions } from './exceptions-proxy.ts';
import { trafficExceptions } from './exceptions-traffic.ts';
import type { Exception } from './support.ts';

/** Fields of one or more kinds that do not simply work. What is not listed works: a test compares the list with what pilot reads. */
export interface KindExceptions {
  readonly group: string;
  readonly kinds: readonly string[];
  readonly fields: readonly Exception[];
}

export const exceptions: readonly KindExceptions[] = [...trafficExceptions, ...gatewayApiExceptions, ...extensionExceptions, ...meshExceptions, ...proxyExceptions];
