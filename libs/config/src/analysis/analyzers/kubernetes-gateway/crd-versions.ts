import type { Analyzer } from '../../analyzer.ts';
import { mapAt, maps, text } from '../../json.ts';
import { messages } from '../../messages/messages.ts';

const group = 'gateway.networking.k8s.io';

/** The oldest bundle of the Gateway API that Istio reads a kind of. */
const oldest: ReadonlyMap<string, string> = new Map([
  [`grpcroutes.${group}`, '1.1.0'],
  [`backendtlspolicies.${group}`, '1.4.0'],
  [`tlsroutes.${group}`, '1.5.0'],
  [`tcproutes.${group}`, '1.6.0'],
]);

/** CRDs of the Gateway API that are too old. */
export const gatewayCrdVersions: Analyzer = {
  name: 'k8sgateway.CRDVersionAnalyzer',
  description: 'CRDs of the Gateway API that are older than what is read',
  analyze(mesh, report) {
    for (const crd of mesh.ofKind('apiextensions.k8s.io', 'CustomResourceDefinition')) {
      const minimum = oldest.get(crd.key.name);
      const installed = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(crd.meta.annotations[`${group}/bundle-version`] ?? '');
      if (minimum === undefined || installed === null) continue;
      const version = [installed[1], installed[2], installed[3]].map((part) => Number(part ?? 0));
      if (isBelow(version, minimum.split('.').map(Number))) report(crd, messages.gatewayCrdTooOld(crd.key.name, version.join('.'), minimum), { path: `metadata.annotations["${group}/bundle-version"]` });
    }
  },
};

const betaKinds = ['Gateway', 'GatewayClass', 'HTTPRoute', 'ReferenceGrant'];
const stableKinds = ['Gateway', 'GatewayClass', 'HTTPRoute', 'GRPCRoute'];

/** CRDs of the Gateway API that do not serve the versions the control plane asks for. (istioctl says so in its precheck.) */
export const gatewayCrdServed: Analyzer = {
  name: 'k8sgateway.ServedVersionsAnalyzer',
  description: 'CRDs of the Gateway API that do not serve v1beta1 or v1',
  analyze(mesh, report) {
    for (const crd of mesh.ofKind('apiextensions.k8s.io', 'CustomResourceDefinition')) {
      const spec = mapAt(crd.content, 'spec');
      if (spec['group'] !== group) continue;
      const kind = text(mapAt(spec, 'names')['kind']);
      const served = maps(spec['versions']).filter((version) => version['served'] === true).map((version) => text(version['name'])).sort();
      const shown = served.join(',') || 'none';
      if (betaKinds.includes(kind) && !served.includes('v1beta1')) report(crd, messages.unsupportedGatewayApi(shown, 'v1beta1'), { path: 'spec.versions' });
      if (stableKinds.includes(kind) && !served.includes('v1')) report(crd, messages.futureUnsupportedGatewayApi(shown, 'v1'), { path: 'spec.versions' });
    }
  },
};

function isBelow(version: readonly number[], minimum: readonly number[]): boolean {
  const at = version.findIndex((part, i) => part !== minimum[i]);
  return at >= 0 && (version[at] ?? 0) < (minimum[at] ?? 0);
}
