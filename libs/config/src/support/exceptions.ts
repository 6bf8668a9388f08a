import type { KindExceptions } from './exception.ts';
import { extensionExceptions } from './exceptions-extensions.ts';
import { gatewayApiExceptions } from './exceptions-gateway-api.ts';
import { meshExceptions } from './exceptions-mesh.ts';
import { proxyExceptions } from './exceptions-proxy.ts';
import { trafficExceptions } from './exceptions-traffic.ts';

/** What is not listed works: a test compares the list with what pilot reads. */
export const exceptions: readonly KindExceptions[] = [...trafficExceptions, ...gatewayApiExceptions, ...extensionExceptions, ...meshExceptions, ...proxyExceptions];
