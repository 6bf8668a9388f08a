import { statSync } from 'node:fs';
import type { ConfigSource } from '@meltemi/config';
import { directorySource } from '@meltemi/config-edge';
import { StartError } from '@meltemi/observe-edge';
import type { PilotOptions } from './options.ts';

/** The read-only sources: each --config-dir, and the --mesh-config file before them. */
export function openSources(values: PilotOptions): ConfigSource[] {
  const meshFile = values['mesh-config'];
  return [...(meshFile === undefined ? [] : [open('mesh-config', meshFile)]), ...values['config-dir'].map((path) => open('config-dir', path))];
}

function open(flag: string, path: string): ConfigSource {
  if (!statSync(path, { throwIfNoEntry: false })) throw new StartError(`--${flag} ${path}: there is no such file or directory`, { exitCode: 2 });
  return directorySource({ directory: path });
}
