import { join } from 'node:path';
import { freePort, type BenchChild } from '../../child.ts';
import type { Bench } from '../bench-run.ts';
import { haproxy } from './haproxy.ts';
import { httpProxy } from './http-proxy.ts';
import { meltemi } from './meltemi.ts';
import { nginx } from './nginx.ts';
import type { PeerName, Shape } from './shape.ts';

/** A proxy under test, or several in a row. */
export interface RunningPeer {
  readonly peer: PeerName;
  /** Where clients connect. */
  readonly port: number;
  readonly children: readonly BenchChild[];
  /** Envoy's admin ports; ours only. */
  readonly adminPorts: readonly number[];
}

/** Starts a proxy of this shape on a free port of the proxies' core and waits until it accepts. */
export async function startPeer(bench: Bench, peer: PeerName, shape: Shape): Promise<RunningPeer> {
  const [port, adminPort, name] = [await freePort(), await freePort(), bench.unique(peer)];
  const files = { dir: bench.dir, name, port, accessLog: join(bench.dir, `${name}-access.log`) };
  const { command, stdoutFile, adminPort: admin } = peer === 'meltemi' ? meltemi(shape, files, adminPort, bench.options.proxyFlags) : { nginx, haproxy, 'http-proxy': httpProxy }[peer](shape, files);
  const child = bench.spawn({ name, command, core: bench.options.cores.proxy, ...(stdoutFile === undefined ? {} : { stdoutFile }) });
  await child.listening(port);
  return { peer, port, children: [child], adminPorts: admin === undefined ? [] : [admin] };
}

/** Two proxies in a row with mTLS between them: what a call in a mesh passes. */
export async function startPair(bench: Bench, peer: PeerName, shape: Shape): Promise<RunningPeer> {
  const { caFile, server, client } = bench.certificates;
  const inner = await startPeer(bench, peer, { ...shape, tlsIn: { leaf: server, clientCa: caFile } });
  const outer = await startPeer(bench, peer, { ...shape, backendPort: inner.port, tlsOut: { leaf: client, ca: caFile, backend: server } });
  return { peer, port: outer.port, children: [outer, inner].flatMap(({ children }) => children), adminPorts: [outer, inner].flatMap(({ adminPorts }) => adminPorts) };
}
