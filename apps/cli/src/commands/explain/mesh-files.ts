import { formatFieldErrors } from '@meltemi/base';
import { loadMesh, originText, type LoadedMesh, type SetAside } from '@meltemi/explain';
import type { CommandEnvironment } from '../../command.ts';
import { readFiles } from '../../files.ts';

/** Options of commands that read a mesh from files. */
export interface MeshFileOptions {
  readonly meshConfig?: string;
  readonly meshNetworks?: string;
}

/** Reads objects from files and directories, and the mesh's settings. */
export async function meshFromFiles(paths: readonly string[], options: MeshFileOptions, environment: CommandEnvironment): Promise<LoadedMesh> {
  const files = await readFiles(paths, environment);
  const named = async (path: string | undefined) => (path === undefined ? undefined : { name: path, text: await textOf(path, environment) });
  const [meshConfig, meshNetworks] = [await named(options.meshConfig), await named(options.meshNetworks)];
  return loadMesh(files, { ...(meshConfig && { meshConfig }), ...(meshNetworks && { meshNetworks }) });
}

/** The text of a file, or of standard input for "-". */
export async function textOf(path: string, environment: CommandEnvironment): Promise<string> {
  return (await readFiles([path], environment)).map(({ text }) => text).join('\n');
}

/** Says what was left out, beside the result. */
export function warnSetAside(setAside: readonly SetAside[], environment: CommandEnvironment): void {
  for (const { origin, errors } of setAside) environment.output.err(`set aside: ${originText(origin)}: ${formatFieldErrors(errors)}`);
}
