import { kindByAlias, kinds, type ConfigKind } from '@meltemi/config';
import { CliError, exitCode } from './cli-error.ts';

/** The kind a user means: "VirtualService", "virtualservices", "vs", "virtualservice.networking.istio.io". */
export function findKind(text: string): ConfigKind {
  const found = kindByAlias(text);
  if (!found) throw new CliError(`There is no kind "${text}". Kinds are: ${kinds.filter((kind) => kind.acts === 'full').map((kind) => kind.kind).join(', ')}`, exitCode.usage);
  return found;
}
