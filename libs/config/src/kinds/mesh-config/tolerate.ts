import type { Findings } from '../../rules/findings.ts';
import { isUnknownField } from '../../schema/containers.ts';
import { item } from '../../schema/schema.ts';
import { checkExtAuthz } from './ext-authz-provider.ts';
import type { ExtensionProvider } from './extension-provider.ts';
import type { MeshConfigSpec } from './types.ts';

/** Fields that Istio does not know either are no reason to do without all the others. */
export function leaveOutUnknown<Spec>(spec: Spec, findings: Findings): Spec {
  findings.soften(isUnknownField, ': left out, as in Istio');
  return spec;
}

/** The same, and a provider that cannot work is only a name: what asks for it gets none (and CUSTOM policies deny), the mesh goes on. */
export function leaveOutBroken(spec: MeshConfigSpec, findings: Findings): MeshConfigSpec {
  leaveOutUnknown(spec, findings);
  const extensionProviders = spec.extensionProviders.map((provider, i) => (isBroken(provider, item('spec.extensionProviders', i), findings) ? { name: provider.name } : provider));
  return { ...spec, extensionProviders };
}

function isBroken(provider: ExtensionProvider, path: string, findings: Findings): boolean {
  for (const form of ['envoyExtAuthzHttp', 'envoyExtAuthzGrpc'] as const) {
    const service = provider[form];
    if (service) checkExtAuthz(service, `${path}.${form}`, findings);
  }
  const before = findings.errors.length;
  findings.soften((error) => error.path === path || error.path.startsWith(`${path}.`), ': the provider cannot be used');
  return findings.errors.length < before;
}
