import { fileURLToPath } from 'node:url';
import type { PeerCommand, PeerFiles, Shape } from './shape.ts';

/** npm's http-proxy; plain HTTP/1.1 only, without routes or a log. */
export function httpProxy({ backendPort }: Shape, { port }: PeerFiles): PeerCommand {
  return { command: [process.execPath, fileURLToPath(new URL('./http-proxy-program.ts', import.meta.url)), String(port), String(backendPort)] };
}
