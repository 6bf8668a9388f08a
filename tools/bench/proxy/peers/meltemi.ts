import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { programCommand } from '@meltemi/harness';
import { sidecarBootstrap } from './sidecar-bootstrap.ts';
import type { PeerCommand, PeerFiles, Shape } from './shape.ts';

/** Our proxy's bundle, every feature of a sidecar on. */
export function meltemi(shape: Shape, files: PeerFiles, adminPort: number, flags: readonly string[] = []): PeerCommand {
  const file = join(files.dir, `${files.name}.json`);
  writeFileSync(file, JSON.stringify(sidecarBootstrap(shape, { port: files.port, adminPort, accessLog: files.accessLog }), null, 1));
  const [node, ...program] = programCommand('proxy', 'bundle');
  return { command: [node, ...flags, ...program, '-c', file, '--concurrency', String(shape.workers ?? 1), '--log-level', 'warning', '--minimum-drain-duration', '0s', '--state-dir', join(files.dir, `${files.name}-state`)], adminPort };
}
