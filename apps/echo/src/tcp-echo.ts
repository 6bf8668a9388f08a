import { createServer, type Server } from 'node:net';
import type { Settings } from './settings.ts';

/** Sends back each line with the version before it ("v1 hello"), as Istio's tcp-echo sample does with its prefix argument. */
export function tcpEcho(settings: Settings): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    let rest = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(-65_536);
      const out = lines.map((line) => `${settings.version} ${line}\n`).join('');
      if (out !== '' && !socket.write(out)) {
        socket.pause();
        socket.once('drain', () => socket.resume());
      }
    });
    socket.on('end', () => (rest === '' ? socket.end() : socket.end(`${settings.version} ${rest}`)));
    socket.on('error', () => socket.destroy());
  });
}
