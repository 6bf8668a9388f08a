import { createHash } from 'node:crypto';
import type { Random } from '@meltemi/base';

const keyBytes = 16;
const suffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A Sec-WebSocket-Key, which WebSockets over HTTP/2 go without (RFC 8441 §5). */
export function websocketKey(random: Random): string {
  return Buffer.from(Array.from({ length: keyBytes }, () => Math.floor(random.next() * 256))).toString('base64');
}

/** The Sec-WebSocket-Accept that proves it was understood (RFC 6455 §4.2.2). */
export function websocketAccept(key: string): string {
  return createHash('sha1').update(`${key}${suffix}`).digest('base64');
}

export function isWebsocket(upgrade: string | null): boolean {
  return upgrade !== null && upgrade.toLowerCase() === 'websocket';
}
